"""What the RTSP servers have in common. For the system's Python; imports nothing of vidseg."""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)


def serve(factory, place, *, port, password, on_input):
    """Serve what the factory makes at rtsp://127.0.0.1:PORT and `place`, with a password for user "joe", if any.

    Prints "ready PORT"; ends when `on_input`, called for every line and the end of standard input, returns False.
    """
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    if password:
        authentication = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        authentication.add_basic(GstRtspServer.RTSPAuth.make_basic("joe", password), token)
        server.set_auth(authentication)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("user", "media.factory.access", True)
        permissions.add_permission_for_role("user", "media.factory.construct", True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory(place, factory)
    if server.attach(None) == 0:
        sys.exit("cannot listen")
    loop = GLib.MainLoop()

    def heard(channel, condition):
        goes_on = on_input()
        if not goes_on:
            loop.quit()
        return goes_on

    GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, heard)
    print("ready", server.get_bound_port(), flush=True)
    loop.run()
