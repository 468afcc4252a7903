"""Cores that one may use: affinity, limits of containers in both versions of control groups, and shared machines."""

import math
import os
import sys

import pytest

from scaling_ood import cores
from scaling_ood.cores import limited_cores, usable_cores, workers_of


@pytest.fixture
def groups(tmp_path):
    """Writes control groups; returns what `limited_cores` finds in them."""

    def limited(own, **files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            place = (
                tmp_path / "mounted" / name.replace("__", "/").replace("cpu_max", "cpu.max").replace("cfs", "cpu.cfs")
            )
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        return limited_cores(tmp_path / "mounted", tmp_path / "own")

    return limited


@pytest.mark.parametrize(("text", "expected"), [("150000 100000\n", 1.5), ("max 100000\n", math.inf), ("", math.inf)])
def test_version_2_in_a_container(groups, text, expected):
    assert groups("0::/\n", cpu_max=text) == expected


def test_version_2_takes_the_narrowest_of_all_groups_around(groups):
    own = "0::/jobs/mine/step\n"
    files = {"cpu_max": "max 100000", "jobs__cpu_max": "400000 100000", "jobs__mine__cpu_max": "50000 25000"}
    assert groups(own, **files) == 2
    assert groups(own, **files, jobs__mine__step__cpu_max="800000 100000") == 2
    assert groups(own, **files, jobs__other__cpu_max="1 100000") == 2


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_version_1(groups, mount):
    own = f"4:memory:/docker/a\n3:{mount}:/docker/a\n0::/\n"
    assert groups(own, **{f"{mount}__cfs_quota_us": "-1\n", f"{mount}__cfs_period_us": "100000\n"}) == math.inf
    # In a container the group of the kernel's list is not there: its own is the outermost.
    assert groups(own, **{f"{mount}__cfs_quota_us": "250000\n"}) == 2.5
    inner = {f"{mount}__docker__a__cfs_quota_us": "50000", f"{mount}__docker__a__cfs_period_us": "100000"}
    assert groups(own, **inner) == 0.5


def test_version_1_linked_under_the_name_of_one_controller(groups):
    assert groups("3:cpu,cpuacct:/\n", cpu__cfs_quota_us="300000", cpu__cfs_period_us="100000") == 3


def test_without_control_groups_nothing_is_limited(tmp_path):
    assert limited_cores(tmp_path, tmp_path / "none") == math.inf


@pytest.mark.parametrize(
    ("affinity", "limit", "sharing", "expected"),
    [
        (8, math.inf, "", 8),
        (3, 16.0, "", 3),
        (8, 2.5, "", 3),
        (8, 0.2, "", 1),
        (8, math.inf, "4", 2),
        (8, math.inf, "3", 3),
        (8, 2.0, "4", 1),
        (8, math.inf, "0", 8),
        (8, math.inf, "many", 8),
    ],
)
def test_the_narrowest_counts_and_at_least_one_is_left(monkeypatch, affinity, limit, sharing, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
    monkeypatch.setattr(cores, "limited_cores", lambda: limit)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", sharing)
    assert usable_cores() == expected


@pytest.mark.skipif(sys.platform != "linux", reason="affinity is Linux's")
def test_affinity_of_this_process_is_seen():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_workers_are_as_many_as_asked_for_or_as_cores(monkeypatch):
    monkeypatch.setattr(cores, "usable_cores", lambda: 5)
    assert [workers_of(given) for given in (0, 3, "auto")] == [0, 3, 5]
