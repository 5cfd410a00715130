"""Study "seen images": a folder in Stable Diffusion v1's layout goes through the same code; what MODEL_DIR must hold."""

import json
import shutil

from neuroface import NeuroFaceError

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the extras of seen images: make images-test")
for extra in ("diffusers", "transformers", "safetensors"):
    pytest.importorskip(extra, reason="needs the extras of seen images: make images-test")
FOLDER = ROOT / "studies" / "seen_images"

from seen_images import generator  # noqa: E402
from seen_images.devices import numbers_of  # noqa: E402
from seen_images.pictures import draw_scene, random_scenes  # noqa: E402

from safetensors.torch import load_file, save_file  # noqa: E402

DEMO = FOLDER / "demo_generator"
torch.set_num_threads(1)  # two test processes


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return [draw_scene(scene, rng) for scene in random_scenes(3, rng).itertuples(index=False)]


@pytest.fixture(scope="module")
def stable_diffusion(tmp_path_factory):
    """The demo's weights as Stable Diffusion v1.4 is published: float32, the names of its time, PNDM, a safety checker."""
    folder = tmp_path_factory.mktemp("sd") / "stable-diffusion-v1-4"
    shutil.copytree(DEMO, folder, ignore=shutil.ignore_patterns("clip_vision", "tokenizer.json"))
    text = load_file(folder / "text_encoder" / "model.safetensors")
    text = {
        name if name.startswith("text_model.") else f"text_model.{name}": value.float()
        for name, value in text.items()
    }
    text["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(text, folder / "text_encoder" / "model.safetensors", {"format": "pt"})
    former = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    vae = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    for name in [name for name in vae if "attentions" in name]:
        vae[next((name.replace(new, old) for new, old in former.items() if new in name), name)] = (
            vae.pop(name)
        )
    save_file(
        {name: value.float() for name, value in vae.items()},
        folder / "vae" / "diffusion_pytorch_model.safetensors",
    )
    unet = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    save_file(
        {name: value.float() for name, value in unet.items()},
        folder / "unet" / "diffusion_pytorch_model.safetensors",
    )
    scheduler = {
        "_class_name": "PNDMScheduler", "_diffusers_version": "0.7.0.dev0", "beta_end": 0.012, "beta_start": 0.00085,
        "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "set_alpha_to_one": False, "skip_prk_steps": True,
        "steps_offset": 1, "trained_betas": None, "clip_sample": False,
    }  # fmt: skip
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    return folder


def test_the_names_are_those_of_stable_diffusion(stable_diffusion):
    names = load_file(stable_diffusion / "vae" / "diffusion_pytorch_model.safetensors")
    assert "decoder.mid_block.attentions.0.query.weight" in names and not any(
        "to_q" in name for name in names
    )
    generator.check_folder(str(stable_diffusion))


def test_stable_diffusions_layout_gives_the_same_latents_embeddings_and_drawings(
    stable_diffusion, pictures
):
    made, expected = (
        generator.Generator(folder, "cpu", "float32") for folder in (stable_diffusion, DEMO)
    )
    latents = [one.encode(pictures, 32) for one in (made, expected)]
    assert np.array_equal(*latents) and latents[0].shape == (3, 4, 8, 8)
    text = [one.embed(["a red circle on sand", ""], 15) for one in (made, expected)]
    assert np.array_equal(*text)
    how = dict(steps=4, strength=0.8, guidance=5.0)
    drawn = [
        one.draw(pictures[0][None], text[0][:1], [[[1], [2]]], **how) for one in (made, expected)
    ]
    assert np.array_equal(*drawn) and drawn[0].shape == (1, 2, 32, 32, 3)


def test_a_drawing_does_not_depend_on_those_beside_it(pictures):
    """Two images in one pass, two drawings each, as one image per pass would draw them; but for rounding."""
    one = generator.Generator(DEMO, "cpu", "float32")
    texts = one.embed(["a red circle on sand", "a cyan cross on grass"], 15)
    how = dict(steps=6, strength=0.8, guidance=5.0)
    seeds = [[[1], [2]], [[3], [4]]]
    together = one.draw(np.stack(pictures[:2]), texts, seeds, **how).astype(int)
    for number in range(2):
        alone = one.draw(
            pictures[number][None], texts[number : number + 1], seeds[number : number + 1], **how
        )[0]
        assert np.abs(together[number] - alone).max() <= 1
    assert np.abs(together[0] - together[1]).mean() > 5


def test_drawing_is_diffusers_own_image_to_image_with_ddim(pictures):
    """The same call of diffusers' pipeline, loaded by diffusers itself."""
    from diffusers import DDIMScheduler, StableDiffusionImg2ImgPipeline

    pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(
        DEMO, torch_dtype=torch.float32, safety_checker=None
    )
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    one = generator.Generator(DEMO, "cpu", "float32")
    drawn = one.draw(
        pictures[0][None],
        one.embed(["a red circle on sand"], 77),
        [[[7]]],
        steps=5,
        strength=0.8,
        guidance=5.0,
    )[0]
    expected = pipeline(
        "a red circle on sand", image=Image.fromarray(pictures[0]), num_inference_steps=5, strength=0.8,
        guidance_scale=5.0, generator=generator.seeded([7]), output_type="np",
    ).images  # fmt: skip
    assert np.abs(drawn.astype(int) - np.round(expected * 255)).max() <= 1


def test_the_first_tokens_do_not_depend_on_later_ones():
    """CLIP's text model looks back only: 15 tokens of 77 are what 15 tokens alone would be."""
    one = generator.Generator(DEMO, "cpu", "float32")
    whole, first = one.embed(["a red circle on sand"], 77), one.embed(["a red circle on sand"], 15)
    assert whole.shape[1] == 77 and np.array_equal(whole[:, :15], first)
    other = one.embed(["a red ring on grass"], 15)
    assert np.allclose(first[0, :3], other[0, :3], atol=1e-6) and not np.allclose(
        first[0, 3], other[0, 3], atol=1e-3
    )


def test_a_draw_from_the_posterior_is_seeded(pictures):
    one = generator.Generator(DEMO, "cpu", "float32")
    mean, first, again, other = (
        one.encode(pictures[:1], 32, seeds) for seeds in (None, [[1]], [[1]], [[2]])
    )
    assert (
        np.array_equal(first, again)
        and not np.allclose(first, other)
        and not np.allclose(first, mean)
    )


def test_text_and_strength_change_a_drawing(pictures):
    one = generator.Generator(DEMO, "cpu", "float32")
    red, grass = one.embed(["a red circle on sand", "a cyan cross on grass"], 15)
    how = dict(steps=10, guidance=5.0)
    start = pictures[0][None]
    weak = one.draw(start, red[None], [[[1]]], strength=0.1, **how)[0, 0].astype(int)
    assert (
        np.abs(weak - one.decode(one.encode(pictures[:1], 32))[0]).mean() < 25
    )  # of 255: the start, nearly
    a, b = (
        one.draw(start, text[None], [[[1]]], strength=1.0, **how)[0, 0].astype(int)
        for text in (red, grass)
    )
    assert np.abs(a - b).mean() > 10


def test_a_picture_without_dark_pixels_is_drawn_like_any_other():
    """Beginning at a bright picture with little noise, the drawing stays bright."""
    one = generator.Generator(DEMO, "cpu", "float32")
    sand = np.full((32, 32, 3), (205, 175, 135), np.uint8)
    drawn = one.draw(
        sand[None], one.embed([""], 15), [[[1]]], steps=10, strength=0.1, guidance=5.0
    )[0, 0]
    assert np.abs(drawn.astype(int) - one.decode(one.encode([sand], 32))[0]).mean() < 15  # of 255


# ---------------------------------------------------------------- what is not finite


def test_nan_never_becomes_a_black_picture(pictures):
    one = generator.Generator(DEMO, "cpu", "float32")
    latents = np.zeros((2, 4, 8, 8), np.float32)
    latents[1, 2, 3, 4] = np.nan
    with pytest.raises(NeuroFaceError, match=r"latents to be decoded hold nan at \(1, 2, 3, 4\)"):
        one.decode(latents)
    texts = np.full((1, 15, 64), np.inf, np.float32)
    with pytest.raises(NeuroFaceError, match="text embeddings to draw with hold inf"):
        one.draw(pictures[0][None], texts, [[[1]]], steps=2, strength=0.8, guidance=5.0)


@pytest.mark.parametrize(
    "part, message",
    [("autoencoder", "latents of pictures"), ("text_encoder", "text embeddings of captions")],
)
def test_weights_that_make_nan_are_named(pictures, part, message):
    one = generator.Generator(DEMO, "cpu", "float32")
    next(getattr(one, part).parameters()).data.fill_(float("nan"))
    if part == "autoencoder":
        next(one.autoencoder.vae.decoder.parameters()).data.fill_(float("nan"))
        with pytest.raises(
            NeuroFaceError, match="pictures of latents hold .* not finite, in float32 on cpu"
        ):
            one.decode(np.zeros((1, 4, 8, 8), np.float32))
    with pytest.raises(NeuroFaceError, match=f"{message} hold .* that are not finite"):
        one.encode(pictures[:1], 32) if part == "autoencoder" else one.embed(["a red circle"], 15)


def test_a_denoiser_that_makes_nan_is_named(pictures):
    one = generator.Generator(DEMO, "cpu", "float32")
    next(one.pipeline.unet.parameters()).data.fill_(float("nan"))
    with pytest.raises(NeuroFaceError, match="drawings hold .* that are not finite"):
        one.draw(
            pictures[0][None], one.embed([""], 15), [[[1]]], steps=2, strength=0.8, guidance=5.0
        )


# ---------------------------------------------------------------- numbers


def test_precision_is_float16_with_cuda_only():
    chosen = {kind: numbers_of("auto", torch.device(kind)) for kind in ("cpu", "mps", "cuda")}
    assert chosen == {"cpu": torch.float32, "mps": torch.float32, "cuda": torch.float16}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU with CUDA")
def test_float16_draws_what_float32_draws(pictures):
    half, whole = (generator.Generator(DEMO, "cuda", numbers) for numbers in ("float16", "float32"))
    latents = [one.encode(pictures, 32) for one in (half, whole)]
    assert np.abs(latents[0] - latents[1]).max() < 0.05 * np.abs(latents[1]).max()
    texts = whole.embed(["a red circle on sand"], 15)
    how = dict(steps=10, strength=0.8, guidance=5.0)
    drawn = [
        one.draw(pictures[0][None], texts, [[[1]]], **how).astype(int) for one in (half, whole)
    ]
    assert np.abs(drawn[0] - drawn[1]).mean() < 10  # of 255


# ---------------------------------------------------------------- what is missing


def test_without_a_folder_the_message_names_the_files_and_their_sizes():
    with pytest.raises(NeuroFaceError) as error:
        generator.check_folder(None)
    message = str(error.value)
    assert message.startswith("MODEL_DIR is not set.") and "4.3 GB in all" in message
    for file in ("unet/diffusion_pytorch_model.safetensors (3.44 GB)", "vae/diffusion_pytorch_model.safetensors (335 MB)",
                 "text_encoder/model.safetensors (492 MB)", "tokenizer/merges.txt (1 MB)"):  # fmt: skip
        assert file in message


def test_pickled_weights_do_not_do(stable_diffusion, tmp_path):
    folder = tmp_path / "pickled"
    shutil.copytree(stable_diffusion, folder)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(
        NeuroFaceError, match="lacks unet/diffusion_pytorch_model.safetensors .*safetensors only"
    ):
        generator.check_folder(str(folder))
    with pytest.raises(NeuroFaceError, match="unet cannot be loaded"):
        generator.Generator(folder, "cpu", "float32").pipeline  # noqa: B018


def test_weights_of_half_precision_alone_do_not_do_and_all_missing_files_are_named(tmp_path):
    """A download with variant="fp16" has no other weights."""
    whole = tmp_path / "whole"
    for name in generator.FILES:
        (whole / name).parent.mkdir(parents=True, exist_ok=True)
        (whole / name).touch()
    assert generator.check_folder(str(whole)) == whole
    weights = [name for name in generator.FILES if name.endswith(".safetensors")]
    for name in weights:
        (whole / name).rename((whole / name).with_suffix(".fp16.safetensors"))
    with pytest.raises(NeuroFaceError, match="lacks ") as error:
        generator.check_folder(str(whole))
    assert len(weights) == 3 and all(f"{name} (" in str(error.value) for name in weights)


def test_damaged_weights_are_named(stable_diffusion, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(stable_diffusion, folder)
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(NeuroFaceError, match="vae cannot be loaded"):
        generator.Generator(folder, "cpu", "float32").autoencoder  # noqa: B018


def test_float16_needs_a_gpu():
    with pytest.raises(NeuroFaceError, match='PRECISION = "float16" is for GPUs'):
        generator.Generator(DEMO, "cpu", "float16")


def test_the_committed_weights_are_small_and_safetensors_alone():
    files = [file for file in DEMO.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 8e6
    assert {file.suffix for file in files} == {".safetensors", ".json", ".txt"}
