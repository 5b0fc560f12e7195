"""The API of credentials, repositories and imports."""

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from apps.registry.api import ANSWER, MADE, RegistryView, actor_of
from apps.registry.credentials import services as credentials
from apps.registry.imports import services as imports
from apps.registry.selectors import (
    credentials_of,
    find_credential,
    find_import,
    find_repository,
    imports_of,
    repositories_of,
)
from apps.registry.source_wire import (
    CredentialChangeIn,
    CredentialIn,
    ImportIn,
    RepositoryIn,
    credential_out,
    import_out,
    repository_out,
    start_from,
)

_MOST_LISTED = 100


class Credentials(RegistryView):
    @extend_schema(responses=ANSWER, operation_id="credential_list")
    def get(self, request, workspace):
        found = self.workspace(request, workspace, "workspace.view")
        return Response([credential_out(each) for each in credentials_of(found)])

    @extend_schema(request=CredentialIn, responses=MADE)
    def post(self, request, workspace):
        found = self.workspace(request, workspace, "credential.manage")
        body = CredentialIn(data=request.data)
        body.is_valid(raise_exception=True)
        made = credentials.create_credential(
            workspace=found, by=request.user, **body.validated_data
        )
        return Response(credential_out(made), 201)


class OneCredential(RegistryView):
    @extend_schema(responses=ANSWER)
    def get(self, request, workspace, credential):
        found = self.workspace(request, workspace, "workspace.view")
        return Response(credential_out(find_credential(found, credential)))

    @extend_schema(request=CredentialChangeIn, responses=ANSWER)
    def patch(self, request, workspace, credential):
        where = self.workspace(request, workspace, "credential.manage")
        found = find_credential(where, credential)
        body = CredentialChangeIn(data=request.data)
        body.is_valid(raise_exception=True)
        data, by = body.validated_data, actor_of(request)
        if "secret" in data:
            credentials.replace_credential(credential=found, secret=data["secret"], by=by)
        if "name" in data:
            credentials.rename_credential(credential=found, name=data["name"], by=by)
        return Response(credential_out(found))

    @extend_schema(responses={204: None})
    def delete(self, request, workspace, credential):
        where = self.workspace(request, workspace, "credential.manage")
        found = find_credential(where, credential)
        credentials.delete_credential(credential=found, by=actor_of(request))
        return Response(status=204)


class CredentialTest(RegistryView):
    @extend_schema(request=None, responses=ANSWER)
    def post(self, request, workspace, credential):
        where = self.workspace(request, workspace, "credential.manage")
        found = find_credential(where, credential)
        credentials.try_credential(credential=found, by=actor_of(request))
        return Response(credential_out(found))


class Repositories(RegistryView):
    @extend_schema(responses=ANSWER, operation_id="repository_list")
    def get(self, request, workspace):
        found = self.workspace(request, workspace, "workspace.view")
        return Response([repository_out(each) for each in repositories_of(found)])

    @extend_schema(request=RepositoryIn, responses=MADE)
    def post(self, request, workspace):
        found = self.workspace(request, workspace, "credential.manage")
        body = RepositoryIn(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        key = data.get("credentialId")
        made = imports.create_repository(
            workspace=found,
            name=data["name"],
            url=data["remotePath"],
            credential=find_credential(found, key) if key else None,
            by=request.user,
        )
        return Response(repository_out(made), 201)


class OneRepository(RegistryView):
    @extend_schema(responses=ANSWER)
    def get(self, request, workspace, repository):
        found = self.workspace(request, workspace, "workspace.view")
        return Response(repository_out(find_repository(found, repository)))

    @extend_schema(responses={204: None})
    def delete(self, request, workspace, repository):
        where = self.workspace(request, workspace, "credential.manage")
        found = find_repository(where, repository)
        imports.delete_repository(repository=found, by=actor_of(request))
        return Response(status=204)


class Imports(RegistryView):
    @extend_schema(responses=ANSWER, operation_id="import_list")
    def get(self, request, workspace):
        found = self.workspace(request, workspace, "workspace.view")
        return Response([import_out(each) for each in imports_of(found)[:_MOST_LISTED]])

    @extend_schema(request=ImportIn, responses=MADE)
    def post(self, request, workspace):
        found = self.workspace(request, workspace, "model.create")
        body = ImportIn(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(import_out(start_from(request, found, body)), 201)


class OneImport(RegistryView):
    @extend_schema(responses=ANSWER)
    def get(self, request, workspace, job):
        found = self.workspace(request, workspace, "workspace.view")
        return Response(import_out(find_import(found, job)))


class CancelImport(RegistryView):
    @extend_schema(request=None, responses=ANSWER)
    def post(self, request, workspace, job):
        found = find_import(self.workspace(request, workspace, "model.create"), job)
        imports.cancel_import(job=found, by=actor_of(request))
        return Response(import_out(found))


class RetryImport(RegistryView):
    @extend_schema(request=None, responses=ANSWER)
    def post(self, request, workspace, job):
        found = find_import(self.workspace(request, workspace, "model.create"), job)
        imports.retry_import(job=found, by=actor_of(request))
        return Response(import_out(found))
