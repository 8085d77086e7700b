#!/usr/bin/python3
"""A window of another program, from which a file can be dragged: `drag.py FILE`."""

import sys

import gi

gi.require_version("Gdk", "4.0")
gi.require_version("Gtk", "4.0")
from gi.repository import Gdk, Gio, Gtk

TITLE = "A file to drag"


def show(application):
    source = Gtk.DragSource()
    file = Gio.File.new_for_path(sys.argv[1])
    source.connect("prepare", lambda *_: Gdk.ContentProvider.new_for_value(Gdk.FileList.new_from_array([file])))
    label = Gtk.Label(label="Drag me", hexpand=True, vexpand=True)
    label.add_controller(source)
    Gtk.ApplicationWindow(
        application=application, title=TITLE, decorated=False, default_width=120, default_height=120, child=label
    ).present()


if __name__ == "__main__":
    application = Gtk.Application(flags=Gio.ApplicationFlags.NON_UNIQUE)
    application.connect("activate", show)
    application.run([])
