"""What the worker does again and again."""

from django_q.models import Schedule

_SCHEDULES: tuple[tuple[str, str, str, int | None], ...] = (
    ("Checkpoint of all chains", "apps.audit.tasks.checkpoint", Schedule.HOURLY, None),
    ("Partitions of the log", "apps.predictions.tasks.make_partitions", Schedule.DAILY, None),
    ("Rollups of the log", "apps.monitoring.tasks.roll_up", Schedule.MINUTES, 1),
    ("Review queues", "apps.feedback.tasks.fill_queues", Schedule.MINUTES, 1),
    ("Old minutes", "apps.monitoring.tasks.drop_old_minutes", Schedule.DAILY, None),
    ("Global explanations", "apps.explanations.tasks.summarise_missing", Schedule.MINUTES, 1),
    ("Unused files of the registry", "apps.registry.tasks.tidy", Schedule.DAILY, None),
    ("Data sets", "apps.feedback.datasets.tasks.tidy", Schedule.MINUTES, 15),
    ("Imports left behind", "apps.registry.tasks.recover_imports", Schedule.MINUTES, 10),
    ("Unused environments", "apps.deployments.tasks.collect_environments", Schedule.DAILY, None),
    ("Old model servers", "apps.deployments.tasks.remove_old_replicas", Schedule.DAILY, None),
)


def ensure() -> None:
    """Makes the schedules that are missing, and takes out those of ours that are no more."""
    for name, function, kind, minutes in _SCHEDULES:
        Schedule.objects.update_or_create(
            name=name, defaults={"func": function, "schedule_type": kind, "minutes": minutes}
        )
    kept = [name for name, *_ in _SCHEDULES]
    Schedule.objects.filter(func__startswith="apps.").exclude(name__in=kept).delete()
