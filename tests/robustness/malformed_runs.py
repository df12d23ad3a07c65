"""Malformed run files, 98 to 106: a made-up run with one thing wrong.

A case's `spoil` changes the file at a path; it may put others beside it.
"""

import h5py
import numpy as np

from malformed import Case

DOCUMENT = "documents/document_1"
INFLUENCE = DOCUMENT + "/influence"
KL = INFLUENCE + "/kl"
READERS = ("analyze", "inspect")
WHOLE_CUTS = 64  # cuts of a file, from nothing to one byte short


def edited(change):
    def spoil(path):
        with h5py.File(path, "r+") as file:
            change(file)
    return spoil


def replaced(name, make):
    """Another object in the place of one, made of the old one's shape."""
    def change(file):
        shape = file[name].shape if isinstance(file[name], h5py.Dataset) else None
        del file[name]
        make(file, shape)
    return edited(change)


def link(name, target):
    return replaced(name, lambda file, shape: file.__setitem__(name, target))


def elsewhere(path):
    """A well-formed file beside the run, for links to lead to."""
    other = path.with_name("other.h5")
    with h5py.File(other, "w") as file:
        file["kl"] = np.zeros((48, 64))
        file.create_group("influence")


def with_elsewhere(spoil):
    def both(path):
        elsewhere(path)
        spoil(path)
    return both


def external_storage(file, shape):
    file.create_dataset(KL, shape, "<f8", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def virtual_layout(file, shape):
    layout = h5py.VirtualLayout(shape, "<f8")
    layout[:] = h5py.VirtualSource("other.h5", "kl", shape)
    file.create_virtual_dataset(KL, layout)


def bomb(shape, **options):
    """Declared, and never written."""
    return replaced(KL, lambda file, _: file.create_dataset(KL, shape, "<f8", **options))


def filtered(**options):
    return replaced(KL, lambda file, shape: file.create_dataset(KL, data=np.zeros(shape), chunks=shape, **options))


def unregistered_filter(file, shape):
    """One that libhdf5 would look for among plug-ins."""
    options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    options.set_chunk(shape)
    options.set_filter(32_768, h5py.h5z.FLAG_OPTIONAL, (1, 2, 3))
    dataset = h5py.h5d.create(file.id, KL.encode(), h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple(shape), options)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.zeros(shape))


def attributes(place, **values):
    return edited(lambda file: file[place].attrs.update(values))


def changed_byte(name):
    """A bit of the stored values flipped."""
    def spoil(path):
        with h5py.File(path) as file:
            offset = file[name].id.get_chunk_info(0).byte_offset
        with open(path, "r+b") as stream:
            stream.seek(offset + 17)
            byte, = stream.read(1)
            stream.seek(offset + 17)
            stream.write(bytes([byte ^ 0x10]))
    return spoil


def cut(share):
    """The first 64ths of the file, or all but its last byte."""
    def spoil(path):
        whole = path.read_bytes()
        path.write_bytes(whole[:len(whole) * share // WHOLE_CUTS] if share < WHOLE_CUTS else whole[:-1])
    return spoil


def sentences(values, length=None):
    """Of the run's tokens, or of fewer."""
    def change(file):
        n = length or len(file[DOCUMENT + "/tokens/id"])
        data = np.resize(np.array(values, "<i4"), n)
        file.create_dataset(DOCUMENT + "/tokens/sentence", data=data, chunks=(n,), fletcher32=True)
    return edited(change)


CASES = [Case(number, what, words, spoil, READERS) for number, what, words, spoil in [
    (98, "external link", "found a soft or external link", with_elsewhere(link(KL, h5py.ExternalLink("other.h5", "/kl")))),
    (98, "external link of a group", "found a soft or external link",
     with_elsewhere(link(INFLUENCE, h5py.ExternalLink("other.h5", "/influence")))),
    (98, "external link to nothing", "found a soft or external link", link(KL, h5py.ExternalLink("none.h5", "/kl"))),
    (98, "external link to a device", "found a soft or external link", link(KL, h5py.ExternalLink("/dev/zero", "/kl"))),
    (98, "soft link", "found a soft or external link", link(KL, h5py.SoftLink("/" + INFLUENCE + "/start"))),
    (98, "soft link to itself", "found a soft or external link", link(KL, h5py.SoftLink("/" + KL))),
    (99, "external storage", "found external storage", replaced(KL, external_storage)),
    (100, "virtual layout", "found a virtual layout", with_elsewhere(replaced(KL, virtual_layout))),
    (101, "2^62 values in chunks", "found a larger shape", bomb((2**31, 2**31), chunks=(1, 64))),
    (101, "2^62 values in one piece", "found a larger shape", bomb((2**31, 2**28))),
    (101, "values that are not stored", "found a larger shape", bomb((48, 64), chunks=(1, 64))),
    (101, "2^62 layers", "positive 32-bit n_layers", attributes("model", n_layers=2**62)),
    (102, "compression", "found filter number 1", filtered(compression="gzip")),
    (102, "unregistered filter", "found filter number 32768", replaced(KL, unregistered_filter)),
    (103, "format version 2", "expected format version 1, found 2", attributes("/", format_version=2)),
    (103, "format version -1", "expected format version 1, found -1", attributes("/", format_version=-1)),
    (103, "another format", "expected a longshadow run file", attributes("/", format="shortshadow")),
    (104, "another configuration", "SHA-256 of configuration", attributes("/", configuration='{"seed":2}')),
    (104, "another configuration hash", "SHA-256 of configuration", attributes("/", configuration_hash=64 * "0")),
    (105, "changed influence", "cannot read", changed_byte(KL)),
    (105, "changed token id", "cannot read", changed_byte(DOCUMENT + "/tokens/id")),
    (105, "sentences from 3 on", "count up from 0", sentences([3])),
    (105, "sentences out of order", "count up from 0", sentences([0, 1])),
    (105, "a sentence below 0", "count up from 0", sentences([-1])),
    (105, "sentences of some tokens", "expected shape", sentences([0], 9)),
]] + [Case(106, f"cut to {share} of 64 parts", "cannot ", cut(share), READERS) for share in range(WHOLE_CUTS + 1)]
