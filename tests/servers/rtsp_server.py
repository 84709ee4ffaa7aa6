"""An RTSP camera made by GStreamer. For the system's Python, which has its bindings; imports nothing of vidseg.

    /usr/bin/python3 rtsp_server.py [--port 0] [--size 640x480] [--rate 25] [--password SECRET] [--audio CODEC]

Prints "ready PORT" when it listens; the stream is rtsp://127.0.0.1:PORT/cam, with a password for user "joe". A line
"size 1280x720" on standard input switches the picture in mid-stream; the end of standard input ends it. The
audio is a tick a second.
"""

import argparse
import sys

from rtsp import Gst, GstRtspServer, serve

parser = argparse.ArgumentParser()
parser.add_argument("--port", default="0")
parser.add_argument("--size", default="640x480")
parser.add_argument("--rate", default="25")
parser.add_argument("--password")
parser.add_argument("--audio", choices=("alaw", "aac", "opus"))
arguments = parser.parse_args()


def caps(size):
    width, height = size.split("x")
    return f"video/x-raw,format=I420,width={width},height={height},framerate={arguments.rate}/1"


TICKS = "audiotestsrc is-live=true wave=ticks volume=0.8 ! audioconvert ! audioresample"
AUDIOS = {
    "alaw": "audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay",
    "aac": "audio/x-raw,rate=44100,channels=2 ! voaacenc ! rtpmp4gpay",
    "opus": "audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay",
}
audio = f"{TICKS} ! {AUDIOS[arguments.audio]} name=pay1 pt=97" if arguments.audio else ""

factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f'( videotestsrc is-live=true pattern=ball ! capsfilter name=size caps="{caps(arguments.size)}" '
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 bitrate=500 threads=1 "
    f"! rtph264pay name=pay0 pt=96 config-interval=-1 {audio} )"
)
factory.set_shared(True)
filters = []
factory.connect("media-configure", lambda _, media: filters.append(media.get_element().get_by_name("size")))


def command():
    line = sys.stdin.readline()
    for element in filters if line else ():
        element.set_property("caps", Gst.Caps.from_string(caps(line.split()[1])))
    return bool(line)


serve(factory, "/cam", port=arguments.port, password=arguments.password, on_input=command)
