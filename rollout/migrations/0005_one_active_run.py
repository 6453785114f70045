from django.db import migrations, models


def end_second_runs(apps, schema_editor):
    """End the validate runs beside an unknown one, which older versions allowed; they are drafts again."""
    run_model, rollout_model = apps.get_model("rollout", "Run"), apps.get_model("rollout", "Rollout")
    held = run_model.objects.filter(state="UNKNOWN").values("target")
    for run in run_model.objects.filter(state="RUNNING", kind="validate", target__in=held):
        run.steps.filter(state="RUNNING").update(state="FAILED", version=models.F("version") + 1)
        run.steps.filter(state="PENDING").update(state="SKIPPED", version=models.F("version") + 1)
        why = "ended by an upgrade: another run of this target is unknown; submit it again"
        run_model.objects.filter(pk=run.pk).update(state="FAILED", reason=why, version=models.F("version") + 1)
        rollout_model.objects.filter(pk=run.rollout_id, state="VALIDATING").update(
            state="DRAFT", state_why=why, version=models.F("version") + 1
        )


class Migration(migrations.Migration):
    dependencies = [
        ("rollout", "0004_durable"),
    ]

    operations = [
        migrations.RunPython(end_second_runs, migrations.RunPython.noop),
        migrations.RemoveConstraint(
            model_name="run",
            name="one_running_run_per_target",
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["RUNNING", "UNKNOWN"])),
                fields=("target",),
                name="one_active_run_per_target",
            ),
        ),
    ]
