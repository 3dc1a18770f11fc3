"""What the field's released scripts and other frameworks call fields of a recipe."""

from collections.abc import Iterable

from hearsight.errors import nearest

PEER_NAMES: dict[str, tuple[str, ...]] = {
    "lr": ("learning_rate",),
    "init_lr": ("learning_rate",),
    "base_lr": ("learning_rate",),
    "lr_schedule": ("decay",),
    "lr_scheduler": ("decay",),
    "scheduler": ("decay",),
    "cosine": ("decay",),
    "wd": ("weight_decay",),
    "bs": ("batch_size",),
    "batch": ("batch_size",),
    "batchsize": ("batch_size",),
    "epoch": ("epochs",),
    "n_epochs": ("epochs",),
    "num_epochs": ("epochs",),
    "max_epochs": ("epochs",),
    "eval_every": ("validate_every",),
    "eval_freq": ("validate_every",),
    "val_every": ("validate_every",),
    "manual_seed": ("seed",),
    "random_seed": ("seed",),
    "img_size": ("frame_size",),
    "image_size": ("frame_size",),
    "crop_size": ("frame_size",),
    "amp": ("precision",),
    "fp16": ("precision",),
    "bf16": ("precision",),
    "dtype": ("precision",),
    "gradient_checkpointing": ("activation_checkpointing",),
    "temp": ("contrast.temperature",),
    "temperature": ("contrast.temperature",),
    "tau": ("contrast.temperature", "contrast.softness"),  # of a trimap where there is one
    "epsilon": ("contrast.foreground",),
    "epsilon2": ("contrast.background",),
    "loss": ("contrast",),
    "criterion": ("contrast",),
    "dropout_img": ("encoder.dropout",),
    "dropout": ("encoder.dropout",),
    "out_dim": ("encoder.projection",),
    "embed_dim": ("encoder.projection",),
    "backbone": ("encoder",),
    "pretrained": ("encoder.weights",),
    "m_img": ("encoder.ema",),
    "m_aud": ("encoder.ema",),
    "use_mom_eval": ("encoder.ema_eval",),
    "n_mels": ("spectrogram.bins",),
    "n_fft": ("spectrogram.fft",),
    "hop_length": ("spectrogram.hop",),
    "duration": ("spectrogram.seconds",),
    "audio_length": ("spectrogram.seconds",),
}


def nearest_field(word: str, known: Iterable[str]) -> str:
    """As `nearest`, for a field of a recipe; names that peers use lead to the field they mean.

    known: paths of fields, or the names of the fields of one part.
    """
    fields = list(known)
    said = word.rpartition(".")[2].lower().replace("-", "_")
    if said not in PEER_NAMES:
        return nearest(word, fields)
    meant = PEER_NAMES[said]
    found = [each for one in meant for each in (one, one.rpartition(".")[2]) if each in fields]
    listed = " or ".join(f"'{each}'" for each in dict.fromkeys(found))
    return f" Did you mean {listed}?" if listed else ""
