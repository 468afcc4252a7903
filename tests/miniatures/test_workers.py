"""Processes that render in parallel: what they load."""

from miniatures import MiniatureSpec, folders, rendering_workers
from miniatures.composite import CompositeSpec, composite_folders
from miniatures.street import StreetSpec, street_folders


def test_a_process_that_renders_loads_neither_scaling_ood_nor_its_frameworks(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    requests = {folders: MiniatureSpec(), composite_folders: CompositeSpec(), street_folders: StreetSpec()}
    with rendering_workers() as pool:
        for listed, spec in requests.items():
            assert pool.submit(listed, spec).result() == listed(spec)
        loaded = set(pool.submit(eval, "[*__import__('sys').modules]").result())
    assert {"miniatures", "miniatures.composite", "miniatures.street"} <= loaded
    assert not loaded & {"scaling_ood", "kedro", "mlflow", "omegaconf", "torch", "pandas"}
