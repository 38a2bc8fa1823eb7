"""Runs on the emulated core: prints what each instruction that `faster.patch` touches computes, one line a case.

Needs only Python. Every form of an instruction is run on random and on extreme values, and with the result in a
register that it also reads.
"""

import ctypes
import mmap
import random

# Words of the instructions without Q (the upper half, or the whole register), U (unsigned), size and registers.
# Source: Arm Architecture Reference Manual for A-profile, C4.1.96: Advanced SIMD three different, two-register misc.
BASES = {"mull": 0x0E20C000, "mlal": 0x0E208000, "adalp": 0x0E206800}
LOADS, STORE, RETURN = (0x3DC00000, 0x3DC00401, 0x3DC00802), 0x3D800000, 0xD65F03C0  # q0, q1, q2 at x0, x0+16, x0+32
REGISTERS = ((0, 1, 2), (1, 1, 2), (2, 1, 2), (1, 1, 1))  # result, first and second operand
EXTREMES = (b"\x00", b"\xff", b"\x80", b"\x7f", b"\x00\x80", b"\xff\x7f", b"\x01")


def cases() -> list[tuple[str, int, int]]:
    """(name, instruction word, register of the result) of every form."""
    forms = []
    for name, base in BASES.items():
        for q, u, size in ((q, u, size) for q in (0, 1) for u in (0, 1) for size in (0, 1, 2)):
            for d, n, m in REGISTERS:
                second = m << 16 if name != "adalp" else 0
                word = base | q << 30 | u << 29 | size << 22 | second | n << 5 | d
                forms.append((f"{'su'[u]}{name},q{q},size{size},v{d},v{n},v{m}", word, d))
    return forms


def values() -> list[bytes]:
    """Three registers of 16 bytes each: random ones, and the result before, with all pairs of extreme operands."""
    draw = random.Random(7)  # noqa: S311 - the same values every time, no secrets
    full = [each * (16 // len(each)) for each in EXTREMES]
    return [draw.randbytes(48) for _ in range(60)] + [draw.choice(full) + n + m for n in full for m in full]


def main() -> None:
    """Write each form as a function of its own into executable memory and call it."""
    memory = mmap.mmap(-1, 1 << 16, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    start, offset = ctypes.addressof(ctypes.c_char.from_buffer(memory)), 0
    sets = values()
    for name, word, result in cases():
        code = b"".join(each.to_bytes(4, "little") for each in (*LOADS, word, STORE | result, RETURN))
        memory[offset : offset + len(code)] = code
        call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(start + offset)
        for registers in sets:
            buffer = ctypes.create_string_buffer(registers, 48)
            call(ctypes.addressof(buffer))
            print(name, buffer.raw[:16].hex())
        offset += len(code)


if __name__ == "__main__":
    main()
