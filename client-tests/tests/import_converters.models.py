"""The models of the Django project that is moved in: those of the tutorial of Channels, and others."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone


class User(AbstractUser):
    avatar = models.FileField(blank=True)
    github = models.CharField(max_length=255, blank=True)


class Room(models.Model):
    name = models.CharField(max_length=255)
    host = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="rooms")
    current_users = models.ManyToManyField(User, related_name="current_rooms", blank=True)


class Message(models.Model):
    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="messages")
    text = models.TextField(max_length=500)
    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="messages")
    created_at = models.DateTimeField(default=timezone.now)


class Ticket(models.Model):
    """A room whose fields have no usual names."""

    subject = models.CharField(max_length=255)
    internal_code = models.CharField(max_length=255)
    opened = models.DateTimeField()
    agents = models.ManyToManyField(User)


class Note(models.Model):
    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE)
    writer = models.ForeignKey(User, null=True, on_delete=models.SET_NULL)
    mood = models.CharField(max_length=20)
    words = models.TextField()
    written = models.DateTimeField()
