"""An RTSP server that takes a stream (ANNOUNCE, RECORD). For the system's Python; imports nothing of vidseg.

    /usr/bin/python3 rtsp_recorder.py FILE.h264 [--port 0] [--password SECRET] [--audio FILE.aac]

Prints "ready PORT" when it listens at rtsp://127.0.0.1:PORT/in, then "picture N" for each picture that came, counted
over all connections. What comes is written to FILE, by each connection anew; audio is taken only if asked for.
"""

import argparse
import itertools

from rtsp import GstRtspServer, serve

parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("--port", default="0")
parser.add_argument("--password")
parser.add_argument("--audio")
arguments = parser.parse_args()

AUDIO = "rtpmp4gdepay name=depay1 ! aacparse ! audio/mpeg,stream-format=adts ! filesink buffer-mode=2 sync=false"
audio = f"{AUDIO} location={arguments.audio}" if arguments.audio else ""

factory = GstRtspServer.RTSPMediaFactory()
factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
factory.set_launch(
    "( rtph264depay name=depay0 ! video/x-h264,stream-format=byte-stream,alignment=au "
    f"! identity name=count signal-handoffs=true ! filesink location={arguments.file} buffer-mode=2 sync=false "
    f"{audio} )"
)
numbers = itertools.count(1)


def configured(_, media):
    media.get_element().get_by_name("count").connect("handoff", lambda *_: print("picture", next(numbers), flush=True))


factory.connect("media-configure", configured)
serve(factory, "/in", port=arguments.port, password=arguments.password, on_input=lambda: False)
