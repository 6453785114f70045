"""What a row of this room is about, kept as text so that the row outlives its subject."""

from django.db import models


class AboutSubject(models.Model):
    """Kind, id and label of a subject, with its component and environment, as they were called at the time."""

    subject_kind = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=40)
    subject_label = models.CharField(max_length=200)
    component = models.CharField(max_length=80, blank=True)
    environment = models.CharField(max_length=80, blank=True)

    class Meta:
        abstract = True
