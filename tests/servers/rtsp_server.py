"""An RTSP camera made by GStreamer. For the system's Python, which has its bindings; imports nothing of vidseg.

    /usr/bin/python3 rtsp_server.py [--port 0] [--size 640x480] [--rate 25] [--password SECRET]

Prints "ready PORT" when it listens; the stream is rtsp://127.0.0.1:PORT/cam, with a password for user "joe". A line
"size 1280x720" on standard input switches the picture in mid-stream; the end of standard input ends it.
"""

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--port", default="0")
parser.add_argument("--size", default="640x480")
parser.add_argument("--rate", default="25")
parser.add_argument("--password")
arguments = parser.parse_args()


def caps(size):
    width, height = size.split("x")
    return f"video/x-raw,format=I420,width={width},height={height},framerate={arguments.rate}/1"


Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(arguments.port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f'( videotestsrc is-live=true pattern=ball ! capsfilter name=size caps="{caps(arguments.size)}" '
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 bitrate=500 threads=1 "
    "! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)
factory.set_shared(True)
filters = []
factory.connect("media-configure", lambda _, media: filters.append(media.get_element().get_by_name("size")))
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
server.get_mount_points().add_factory("/cam", factory)
if server.attach(None) == 0:
    sys.exit("cannot listen")
loop = GLib.MainLoop()


def command(channel, condition):
    line = sys.stdin.readline()
    if not line:
        loop.quit()
        return False
    for element in filters:
        element.set_property("caps", Gst.Caps.from_string(caps(line.split()[1])))
    return True


GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, command)
print("ready", server.get_bound_port(), flush=True)
loop.run()
