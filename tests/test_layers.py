"""The order of the pipeline, enforced: a module imports only what comes before it."""

import ast
from pathlib import Path

import hearsight

ORDER = (
    "errors",
    "text_files",
    "locks",
    "targets",
    "decoding",
    "media",
    "film",
    "clips",
    "origins",
    "shards",
    "shard_writer",
    "datasets",
    "clip_lists",
    "leaks",
    "spectrogram",
    "colour",
    "resample",
    "drawn",
    "transforms",
    "response",
    "normalisation",
    "encoders",
    "objectives",
    "recipe",
    "recipes",
    "batches",
    "step",
    "curriculum",
    "checkpoint",
    "released",
    "metrics",
    "protocols",
    "data_statistics",
    "scoring",
    "findings",
    "object_guidance",
    "inference",
    "evaluate",
    "detection",
    "interactive",
    "negatives",
    "segmentation",
    "duets",
    "subsets",
    "tasks",
    "ranking",
    "embeddings",
    "embedding_files",
    "retrieval_metrics",
    "retrieval",
    "retrieval_run",
    "confidence",
    "watch",
    "runs",
    "trainer",
    "pacing",
    "campaign",
    "contest",
    "contest_table",
    "draw",
    "moments",
    "windows",
    "localise",
    "curves",
    "report",
    "embedder",
    "library_place",
    "moment_table",
    "library",
    "taking",
    "video_files",
    "indexing",
    "ray_engine",
    "result_page",
    "ablation",
    "console",
    "demo_report",
    "demo",
    "contest_page",
    "arguments",
    "data_commands",
    "train_commands",
    "compare_commands",
    "score_commands",
    "library_commands",
    "retrieval_sheet",
    "retrieve_commands",
    "cli",
    "__main__",
)


def test_modules_import_only_earlier_stages() -> None:
    root = Path(hearsight.__file__).parent
    for file in root.rglob("*.py"):
        stage = file.relative_to(root).parts[0].removesuffix(".py")
        if stage == "__init__":
            continue
        assert stage in ORDER, f"{file} has no place in the pipeline"
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hearsight."):
                used = node.module.split(".")[1]
                assert used == stage or ORDER.index(used) < ORDER.index(stage), f"{file}: {used}"
