"""The API of people, workspaces and credentials: one view per act, the pages' services."""

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts import services
from apps.accounts.access import Action, find_workspace, require, visible_workspaces
from apps.accounts.authentication import actor_of
from apps.accounts.models import User, Workspace
from apps.accounts.selectors import (
    find_membership,
    find_person,
    key_pairs_of,
    members_of,
    people,
)
from apps.accounts.serializers import (
    ExpiringIn,
    MemberIn,
    PersonChangeIn,
    PersonIn,
    RoleIn,
    WorkspaceChangeIn,
    WorkspaceIn,
    key_pair_out,
    member_out,
    person_out,
    workspace_out,
)

ANSWER = {200: OpenApiTypes.OBJECT}
MADE = {201: OpenApiTypes.OBJECT}


class KeyPairs(APIView):
    """A person's own key pairs."""

    @extend_schema(responses=ANSWER, operation_id="key_pair_list")
    def get(self, request):
        return Response([key_pair_out(each) for each in key_pairs_of(_person(request))])

    @extend_schema(request=ExpiringIn, responses=MADE)
    def post(self, request):
        """The answer carries the secret key, once."""
        person = _person(request)
        body = _checked(ExpiringIn, request)
        key_pair, secret = services.create_key_pair(
            user=person,
            name=body["name"],
            expires_at=body.get("expiresAt"),
            by=actor_of(request),
        )
        answer = Response(key_pair_out(key_pair) | {"secretKey": secret}, 201)
        answer["Cache-Control"] = "no-store"
        return answer


class OneKeyPair(APIView):
    @extend_schema(responses={204: None})
    def delete(self, request, identifier: UUID):
        key_pair = key_pairs_of(_person(request)).filter(pk=identifier).first()
        if key_pair is None:
            raise Http404("You have no such key pair.")
        services.revoke_key_pair(key_pair=key_pair, by=actor_of(request), now=timezone.now())
        return Response(status=204)


class Users(APIView):
    @extend_schema(responses=ANSWER, operation_id="user_list")
    def get(self, request):
        require(request.user, "organisation.view")
        search = request.query_params.get("search", "").replace("\x00", "")
        return Response([person_out(each) for each in people(search)])

    @extend_schema(request=PersonIn, responses=MADE)
    def post(self, request):
        """Invites somebody. Where no mail server is set up the answer carries the link, once."""
        require(request.user, "organisation.manage")
        body = _checked(PersonIn, request)
        invitation = services.invite_person(
            email=body["email"],
            name=body.get("name", ""),
            organisation_role=body.get("organisationRole", User.OrganisationRole.USER),
            by=actor_of(request),
        )
        return _invited(person_out(invitation.user), invitation)


class OneUser(APIView):
    @extend_schema(responses=ANSWER)
    def get(self, request, identifier: UUID):
        require(request.user, "organisation.view")
        return Response(person_out(find_person(identifier)))

    @extend_schema(request=PersonChangeIn, responses=ANSWER)
    def patch(self, request, identifier: UUID):
        require(request.user, "organisation.manage")
        found = find_person(identifier)
        body = _checked(PersonChangeIn, request)
        services.change_person(
            user=found,
            organisation_role=body.get("organisationRole"),
            is_active=body.get("isActive"),
            by=actor_of(request),
        )
        return Response(person_out(found))


class TwoFactor(APIView):
    @extend_schema(responses={204: None})
    def delete(self, request, identifier: UUID):
        require(request.user, "organisation.manage")
        services.reset_two_factor(user=find_person(identifier), by=actor_of(request))
        return Response(status=204)


class Workspaces(APIView):
    @extend_schema(responses=ANSWER, operation_id="workspace_list")
    def get(self, request):
        return Response([workspace_out(each) for each in visible_workspaces(request.user)])

    @extend_schema(request=WorkspaceIn, responses=MADE)
    def post(self, request):
        require(request.user, "workspace.create")
        body = _checked(WorkspaceIn, request)
        made = services.create_workspace(
            name=body["name"], description=body.get("description", ""), by=actor_of(request)
        )
        return Response(workspace_out(made), 201)


class OneWorkspace(APIView):
    @extend_schema(responses=ANSWER)
    def get(self, request, workspace):
        return Response(workspace_out(_workspace(request, workspace, "workspace.view")))

    @extend_schema(request=WorkspaceChangeIn, responses=ANSWER)
    def patch(self, request, workspace):
        found = _workspace(request, workspace, "workspace.manage")
        body = _checked(WorkspaceChangeIn, request)
        services.change_workspace(
            workspace=found,
            name=body.get("name", found.name),
            description=body.get("description", found.description),
            by=actor_of(request),
        )
        return Response(workspace_out(found))


class Members(APIView):
    @extend_schema(responses=ANSWER, operation_id="member_list")
    def get(self, request, workspace):
        found = _workspace(request, workspace, "workspace.view")
        return Response([member_out(each) for each in members_of(found)])

    @extend_schema(request=MemberIn, responses=MADE)
    def post(self, request, workspace):
        """Adds somebody by e-mail address, and invites them where they have no account."""
        found = _workspace(request, workspace, "member.manage")
        body = _checked(MemberIn, request)
        invitation = services.invite_member(workspace=found, by=actor_of(request), **body)
        membership = find_membership(found, invitation.user.id)
        return _invited(member_out(membership), invitation)


class OneMember(APIView):
    """`identifier` is the membership's id or the person's."""

    @extend_schema(request=RoleIn, responses=ANSWER)
    def patch(self, request, workspace, identifier: UUID):
        found = _workspace(request, workspace, "member.manage")
        membership = find_membership(found, identifier)
        role = _checked(RoleIn, request)["role"]
        services.change_role(membership=membership, role=role, by=actor_of(request))
        return Response(member_out(membership))

    @extend_schema(responses={204: None})
    def delete(self, request, workspace, identifier: UUID):
        found = _workspace(request, workspace, "member.manage")
        membership = find_membership(found, identifier)
        services.remove_member(membership=membership, by=actor_of(request))
        return Response(status=204)


def _workspace(request: Request, key: str, action: Action) -> Workspace:
    workspace = find_workspace(request.user, key)
    require(request.user, action, workspace)
    return workspace


def _person(request: Request) -> User:
    """Raises PermissionDenied for a deployment token, which stands for no person."""
    if not isinstance(request.user, User):
        raise PermissionDenied("Only people have key pairs; sign in, or use a key pair.")
    return request.user


def _checked(serializer, request):
    body = serializer(data=request.data)
    body.is_valid(raise_exception=True)
    return body.validated_data


def _invited(out, invitation):
    link = {"invitationLink": invitation.link} if invitation.link else {}
    answer = Response(out | link, 201)
    answer["Cache-Control"] = "no-store"
    return answer
