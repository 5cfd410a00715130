"""Films of which the tests know every frame."""

from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

# Pictures that packages ship, and where the face in them is: x, y, width, height. scikit-image's
# astronaut: NASA, public domain; its camera: CC0; matplotlib's grace_hopper: US Navy, public
# domain.
FACES = {
    "astronaut": (170, 70, 110, 130),
    "grace_hopper": (150, 130, 225, 230),
    "camera": (195, 120, 75, 75),
}


def write_film(
    path: Path,
    times_s,
    picture,
    *,
    rate=25,
    time_base=Fraction(1, 90_000),
    codec="libx264",
    pixels="yuv420p",
    start_s=0.0,
    sound=None,
    options=None,
    container_options=None,
) -> Path:
    """A film of the frames ``picture(t)``, (height, width, 3) uint8, at ``times_s``, and mono ``sound`` at 48 kHz."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container_options or {}) as container:
        video = container.add_stream(codec, rate=rate, options=options or {})
        height, width = picture(times_s[0]).shape[:2]
        video.width, video.height, video.pix_fmt = width, height, pixels
        video.codec_context.time_base = time_base
        audio = (
            container.add_stream("aac", rate=48_000, layout="mono") if sound is not None else None
        )
        for time_s in times_s:
            frame = av.VideoFrame.from_ndarray(picture(time_s), format="rgb24")
            frame.pts, frame.time_base = round((time_s + start_s) / time_base), time_base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for start in range(0, 0 if sound is None else len(sound), 1024):
            part = np.ascontiguousarray(sound[None, start : start + 1024], dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
            container.mux(audio.encode(frame))
        if audio:
            container.mux(audio.encode(None))
    return path


def cut_film(source: Path, path: Path, at_s: float, **container_options) -> Path:
    """A film from ``at_s`` on by stream copy, as ``ffmpeg -ss AT -i SOURCE -c copy``: pictures from the key frame before."""
    import av

    with av.open(str(source)) as film, av.open(str(path), "w", options=container_options) as cut:
        tracks = {track.index: cut.add_stream_from_template(track) for track in film.streams}
        film.seek(int(at_s * 1e6))
        for packet in film.demux():
            shift = round(at_s / packet.time_base)
            if packet.dts is None or (packet.stream.type == "audio" and packet.pts < shift):
                continue
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = tracks[packet.stream.index]
            cut.mux(packet)
    return path


def grey(level: int, height: int = 72, width: int = 128) -> np.ndarray:
    return np.full((height, width, 3), level, dtype=np.uint8)


def photograph(name: str) -> Image.Image:
    if name == "grace_hopper":
        from matplotlib.cbook import get_sample_data

        return Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
    from skimage import data

    return Image.fromarray(getattr(data, name)()).convert("RGB")


def shot(
    background: str, person: str | None = None, share: float = 0.3, light: float = 1.0
) -> np.ndarray:
    """A frame of 640 × 360: a background, and perhaps a person whose face has ``share`` of the frame's height."""
    frame = photograph(background).resize((640, 360))
    if person:
        x, y, width, height = FACES[person]
        scale = share * 360 / height
        cutting = photograph(person)
        cutting = cutting.resize((round(cutting.width * scale), round(cutting.height * scale)))
        frame.paste(
            cutting, (round(300 - (x + width / 2) * scale), round(160 - (y + height / 2) * scale))
        )
    return np.asarray(frame.point(lambda value: int(value * light)))
