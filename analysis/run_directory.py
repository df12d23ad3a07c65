"""A run directory as far as it is measured, as if it were a run file.

data/FORMAT.md says what is in one. Only what is published is read, never a journal.
"""

import sys

import h5py
import numpy as np


def _read(path):
    """What is published never changes, so it needs no lock; and network file systems may have none."""
    return h5py.File(path, locking=False)


def opened(path):
    """The run at `path`, a run file or a run directory, as an open h5py.File. Of a directory it is in
    memory and has what is measured, and its share is said on standard error."""
    if path.is_dir():
        return _gathered(path)
    if not path.is_file():
        raise SystemExit(f"{path}: expected a run file, found none")
    if not h5py.is_hdf5(path):
        raise SystemExit(f"{path}: expected an HDF5 file, found another")
    return _read(path)


def _gathered(folder):
    plan_path = folder / "plan.h5"
    if not plan_path.is_file():
        raise SystemExit(f"{folder}: expected a run file, or a run directory with its plan.h5")
    run = h5py.File(folder.name, "w", driver="core", backing_store=False)
    with _read(plan_path) as plan:
        run.attrs["format"] = "longshadow"
        run.attrs["format_version"] = plan.attrs["format_version"]
        plan.copy("model", run)
        documents = run.create_group("documents")
        stem, shard = plan.attrs["configuration_hash"][:16], int(plan.attrs["shard_units"])
        done = total = 0
        for name, planned in plan["documents"].items():
            measured, units = _gather(folder, f"{stem}-d{planned.attrs['index']:04d}", name, shard,
                                      planned.attrs.get("n_units"), documents)
            done, total = done + measured, total + units
        share = f"{done} of {total} {plan.attrs['unit_name']} are measured"
    print(f"{folder}: {share}", file=sys.stderr)
    if not len(documents):
        raise SystemExit(f"{folder}: expected at least one document of which something is measured")
    return run


def _gather(folder, stem, name, shard, n_units, documents):
    """Adds the document where anything of it is measured. Units measured, and units there are."""
    pass_path = folder / f"{stem}.h5"
    group = None
    if pass_path.is_file():
        with _read(pass_path) as file:
            file.copy(f"documents/{name}", documents)
        group = documents[name]
        if n_units is None:
            n_units = len(group["influence/start"])
    paths = {}
    for begin in range(0, n_units or 0, shard):
        end = min(begin + shard, n_units)
        path = folder / f"{stem}-u{begin:06d}-{end:06d}.h5"
        if path.is_file():
            paths[begin, end] = path
    if group is not None:
        _add_shards(group, paths)
        if not paths and "sketch" not in group:
            del documents[name]
    return sum(end - begin for begin, end in paths), n_units or 0


def _add_shards(group, paths):
    """Puts the values of the shards, by units, into the document that their full pass gave."""
    influence = group.get("influence")
    if influence is not None:
        kl = np.full((len(influence["start"]), len(influence["noise_floor"])), np.nan)
        rerouted = None
    for (begin, end), path in paths.items():
        with _read(path) as file:
            values, = file["documents"].values()
            if influence is not None:
                kl[begin:end] = values["influence/kl"][:]
                if "rerouted" in values["influence"]:
                    shares = values["influence/rerouted"][:]
                    if rerouted is None:
                        rerouted = np.full((len(kl), shares.shape[1]), np.nan, np.float32)
                    rerouted[begin:end] = shares
                continue
            for policy in (key for key in values["retention"] if "@" in key):
                values.copy(f"retention/{policy}", group.require_group("retention"))
    if influence is None:
        return
    if paths:
        influence["kl"] = kl
        if rerouted is not None:
            influence["rerouted"] = rerouted
    else:
        del group["influence"]
