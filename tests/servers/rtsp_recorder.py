"""An RTSP server that takes a stream (ANNOUNCE, RECORD). For the system's Python; imports nothing of vidseg.

    /usr/bin/python3 rtsp_recorder.py FILE.h264 [--port 0] [--password SECRET]

Prints "ready PORT" when it listens at rtsp://127.0.0.1:PORT/in, then "picture N" for each picture that came, counted
over all connections. What comes is written to FILE, by each connection anew.
"""

import argparse
import itertools
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("--port", default="0")
parser.add_argument("--password")
arguments = parser.parse_args()

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(arguments.port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
factory.set_launch(
    "( rtph264depay name=depay0 ! video/x-h264,stream-format=byte-stream,alignment=au "
    f"! identity name=count signal-handoffs=true ! filesink location={arguments.file} buffer-mode=2 sync=false )"
)
numbers = itertools.count(1)


def configured(_, media):
    media.get_element().get_by_name("count").connect("handoff", lambda *_: print("picture", next(numbers), flush=True))


factory.connect("media-configure", configured)
if arguments.password:
    authentication = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    authentication.add_basic(GstRtspServer.RTSPAuth.make_basic("joe", arguments.password), token)
    server.set_auth(authentication)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("user", "media.factory.access", True)
    permissions.add_permission_for_role("user", "media.factory.construct", True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/in", factory)
if server.attach(None) == 0:
    sys.exit("cannot listen")
loop = GLib.MainLoop()
GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, lambda *_: loop.quit())
print("ready", server.get_bound_port(), flush=True)
loop.run()
