"""A GGUF file taken apart, changed and laid out again, whatever it then claims.

    Gguf.read(path).add_pair("k", U8, u8(1)).encode()
"""

import struct
from dataclasses import dataclass

# GGUF's numbers of the value types.
U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)

CODES = {U8: "<B", I8: "<b", U16: "<H", I16: "<h", U32: "<I", I32: "<i", F32: "<f", BOOL: "<B", U64: "<Q",
         I64: "<q", F64: "<d"}
ALIGNMENT = 32


def packer(value_type):
    return lambda number: struct.pack(CODES[value_type], number)


u8, u16, u32, u64, i32, i64, f32, f64 = map(packer, (U8, U16, U32, U64, I32, I64, F32, F64))


def text(characters):
    """A string: its length and its bytes."""
    encoded = characters if isinstance(characters, bytes) else characters.encode()
    return u64(len(encoded)) + encoded


def array(element_type, count, elements=b""):
    """An array that says it has `count` elements; `elements` is their bytes."""
    return u32(element_type) + u64(count) + elements


def padded(data):
    return data + bytes(-len(data) % ALIGNMENT)


class Reader:
    """Takes a well-formed file from front to back."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, value_type):
        return struct.unpack(CODES[value_type], self.take(struct.calcsize(CODES[value_type])))[0]

    def value(self, value_type):
        """Its bytes."""
        begin = self.at
        if value_type == STRING:
            self.take(self.number(U64))
        elif value_type == ARRAY:
            element_type = self.number(U32)
            for _ in range(self.number(U64)):
                self.value(element_type)
        else:
            self.number(value_type)
        return self.data[begin:self.at]

    def string(self):
        return self.value(STRING)[8:].decode()


@dataclass
class Tensor:
    name: str
    dimensions: tuple  # innermost first
    type: int  # ggml's number
    data: bytes
    offset: int = None  # where to claim that the data lies, instead of where it does
    name_length: int = None  # to claim
    n_dimensions: int = None  # to claim

    def description(self, offset):
        name = text(self.name)
        if self.name_length is not None:
            name = u64(self.name_length) + name[8:]
        n_dimensions = len(self.dimensions) if self.n_dimensions is None else self.n_dimensions
        return (name + u32(n_dimensions) + b"".join(map(u64, self.dimensions)) + u32(self.type)
                + u64(offset if self.offset is None else self.offset))


@dataclass
class Gguf:
    """Methods that change it give it back, to be chained."""
    pairs: dict  # key -> (value type, the value's bytes), in the file's order
    tensors: list  # in the order of their data
    magic: bytes = b"GGUF"
    version: int = 3
    n_tensors: int = None  # to claim, instead of the true number
    n_pairs: int = None  # to claim
    more_pairs: bytes = b""  # behind the others, as they shall lie in the file
    n_more: int = 0

    @classmethod
    def read(cls, path):
        """A well-formed file of the default alignment."""
        reader = Reader(path.read_bytes())
        reader.take(8)
        n_tensors, n_pairs = reader.number(U64), reader.number(U64)
        pairs = {}
        for _ in range(n_pairs):
            key, value_type = reader.string(), reader.number(U32)
            pairs[key] = value_type, reader.value(value_type)
        tensors = []
        for _ in range(n_tensors):
            name = reader.string()
            dimensions = tuple(reader.number(U64) for _ in range(reader.number(U32)))
            tensors.append(Tensor(name, dimensions, reader.number(U32), data=reader.number(U64)))
        section = padded(reader.data[:reader.at])
        tensors.sort(key=lambda tensor: tensor.data)  # still the offset
        ends = [tensor.data for tensor in tensors[1:]] + [len(reader.data) - len(section)]
        for tensor, end in zip(tensors, ends):
            tensor.data = reader.data[len(section) + tensor.data:len(section) + end]
        return cls(pairs, tensors)

    def change(self, **fields):
        for name, value in fields.items():
            setattr(self, name, value)
        return self

    def add_pair(self, key, value_type, value):
        """One more, even of a key that is there."""
        self.more_pairs += text(key) + u32(value_type) + value
        self.n_more += 1
        return self

    def replace_pair(self, key, value_type, value):
        if key not in self.pairs:
            raise KeyError(key)
        self.pairs[key] = value_type, value
        return self

    def replace_element(self, key, index, element):
        """One element of an array that is there."""
        _, value = self.pairs[key]
        reader = Reader(value)
        element_type, count = reader.number(U32), reader.number(U64)
        elements = [reader.value(element_type) for _ in range(count)]
        elements[index] = element
        return self.replace_pair(key, ARRAY, array(element_type, count, b"".join(elements)))

    def remove_pair(self, key):
        del self.pairs[key]
        return self

    def add_tensor(self, name, dimensions, data, **claims):
        self.tensors.append(Tensor(name, dimensions, 0, data, **claims))
        return self

    def change_tensor(self, index, **fields):
        for name, value in fields.items():
            setattr(self.tensors[index], name, value)
        return self

    def move_tensor(self, index, by):
        """Claims that its data lies `by` bytes further on than it does."""
        return self.change_tensor(index, offset=sum(len(padded(t.data)) for t in self.tensors[:index]) + by)

    def encode(self):
        n_pairs = len(self.pairs) + self.n_more
        head = (self.magic + u32(self.version) + u64(len(self.tensors) if self.n_tensors is None else self.n_tensors)
                + u64(n_pairs if self.n_pairs is None else self.n_pairs))
        for key, (value_type, value) in self.pairs.items():
            head += text(key) + u32(value_type) + value
        head += self.more_pairs
        data = b""
        for tensor in self.tensors:
            head += tensor.description(len(data))
            data += padded(tensor.data)
        return padded(head) + data
