# Plain data as bytes, for the two sides of a trial. What comes out of `load` is made by it alone, of exact builtin types and a few of the standard
# library that hold nothing but such data; whatever else there is crosses as a number that stands for it.
def plain(hold, found):
    deepest = 100
    base = {int: b"i", float: b"f", complex: b"c", str: b"s", bytes: b"b", bytearray: b"a", list: b"l", tuple: b"t"}
    base.update({set: b"S", frozenset: b"Z", dict: b"d", range: b"r", type({}.keys()): b"K", type({}.values()): b"V", type({}.items()): b"M"})
    library = {"collections.deque": b"q", "fractions.Fraction": b"Q", "decimal.Decimal": b"D"}

    def sized(tag, data):
        return b"%b%d:%b" % (tag, len(data), data)

    def many(tag, items, depth):
        items = [dump(item, depth + 1) for item in items]
        return b"%b%d:%b" % (tag, len(items), b"".join(items))

    def dump(value, depth=0):
        if depth > deepest:
            raise ValueError("a value is nested too deeply")
        if value is None:
            return b"N"
        if value is True:
            return b"T"
        if value is False:
            return b"F"
        kind = type(value)
        tag = base.get(kind)
        if tag is None:
            # A subclass crosses as what it is built on, without what it makes of it.
            for kind in kind.__mro__:
                tag = base.get(kind)
                if tag is not None:
                    break
        if tag == b"i":
            return sized(tag, b"%x" % int.__index__(value))
        if tag == b"s":
            return sized(tag, str.encode(value, "utf-8", "surrogatepass"))
        if tag == b"f":
            return sized(tag, float.hex(value).encode())
        if tag == b"c":
            pair = complex.__pos__(value)
            return many(tag, (pair.real, pair.imag), depth)
        if tag in (b"b", b"a"):
            return sized(tag, kind.__getitem__(value, slice(None)))
        if tag == b"d":
            return many(tag, [part for item in dict.items(value) for part in item], depth)
        if tag == b"M":
            return many(tag, [part for item in value for part in item], depth)
        if tag == b"r":
            return many(tag, (value.start, value.stop, value.step), depth)
        if tag is not None:
            return many(tag, kind.__iter__(value), depth)
        kind = type(value)
        tag = library.get("%s.%s" % (kind.__module__, kind.__qualname__))
        if tag == b"q":
            return many(tag, value, depth)
        if tag == b"Q":
            return many(tag, (value.numerator, value.denominator), depth)
        if tag == b"D":
            return sized(tag, str(value).encode())
        if hasattr(kind, "__next__"):
            return many(b"I", value, depth)
        return sized(b"o", b"%d" % hold(value))

    def load(data):
        value, at = parse(data, 0, 0)
        if at != len(data):
            raise ValueError("more than a value")
        return value

    def parse(data, at, depth):
        if depth > deepest:
            raise ValueError("a value is nested too deeply")
        tag, at = data[at : at + 1], at + 1
        if tag == b"N":
            return None, at
        if tag == b"T":
            return True, at
        if tag == b"F":
            return False, at
        colon = data.index(b":", at, at + 12)
        size, at = data[at:colon], colon + 1
        if not size.isdigit():
            raise ValueError("a size that is none")
        size = int(size)
        if size > len(data) - at:
            raise ValueError("a size that is too large")
        if tag in b"isfbaDo":
            end = at + size
            part = data[at:end]
            if tag == b"i":
                return int(part, 16), end
            if tag == b"s":
                return part.decode("utf-8", "surrogatepass"), end
            if tag == b"f":
                return float.fromhex(part.decode()), end
            if tag == b"b":
                return part, end
            if tag == b"a":
                return bytearray(part), end
            if tag == b"D":
                from decimal import Decimal

                return Decimal(part.decode()), end
            return found(int(part)), end
        items = []
        for _ in range(size):
            item, at = parse(data, at, depth + 1)
            items.append(item)
        if tag == b"l":
            return items, at
        if tag == b"t":
            return tuple(items), at
        if tag == b"S":
            return set(items), at
        if tag == b"Z":
            return frozenset(items), at
        if tag == b"d":
            return dict(zip(items[::2], items[1::2])), at
        if tag == b"c":
            return complex(*items), at
        if tag == b"r":
            return range(*items), at
        if tag == b"I":
            return iter(items), at
        if tag == b"K":
            return dict.fromkeys(items).keys(), at
        if tag == b"V":
            return dict(enumerate(items)).values(), at
        if tag == b"M":
            return dict(zip(items[::2], items[1::2])).items(), at
        if tag == b"q":
            from collections import deque

            return deque(items), at
        if tag == b"Q":
            from fractions import Fraction

            return Fraction(*items), at
        raise ValueError("a kind that is none")

    return dump, load
