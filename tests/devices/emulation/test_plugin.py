"""The counting plugin's classes and cache model, compiled into small programs of their own."""

import subprocess
from pathlib import Path

import pytest

from edgebuild.devices.emulation import compiler

SOURCES = Path(compiler.__file__).parent
# Encodings as LLVM 19 assembles them, taken from the runtimes' own kernels.
WORDS = {
    "b9400020": "load",  # ldr w0, [x1]
    "a9400440": "load",  # ldp x0, x1, [x2]
    "c85f7c20": "load",  # ldxr x0, [x1]
    "f9800020": "load",  # prfm pldl1keep, [x1]
    "b8e00041": "load",  # ldaddal w0, w1, [x2]
    "b9000020": "store",  # str w0, [x1]
    "a9000440": "store",  # stp x0, x1, [x2]
    "3dc00020": "vector_load",  # ldr q0, [x1]
    "4cdf7020": "vector_load",  # ld1 {v0.16b}, [x1], #16
    "4d40c820": "vector_load",  # ld1r {v0.4s}, [x1]
    "ad000440": "vector_store",  # stp q0, q1, [x2]
    "4c007020": "vector_store",  # st1 {v0.16b}, [x1]
    "8b020020": "integer",  # add x0, x1, x2
    "91000420": "integer",  # add x0, x1, #1
    "9b020c20": "multiply",  # madd x0, x1, x2, x3
    "1ac20c20": "multiply",  # sdiv w0, w1, w2
    "54000001": "branch",  # b.ne
    "d65f03c0": "branch",  # ret
    "d503201f": "system",  # nop
    "d4000001": "system",  # svc #0
    "d53bd040": "system",  # mrs x0, tpidr_el0
    "4e22cc20": "fp_fma",  # fmla v0.4s, v1.4s, v2.4s
    "4f821020": "fp_fma",  # fmla v0.4s, v1.4s, v2.s[0]
    "5f821020": "fp_fma",  # fmla s0, s1, v2.s[0]
    "1f020c20": "fp_fma",  # fmadd s0, s1, s2, s3
    "4e420c20": "fp_fma",  # fmla v0.8h, v1.8h, v2.8h
    "6e22dc20": "fp_vector",  # fmul v0.4s, v1.4s, v2.4s
    "4f829020": "fp_vector",  # fmul v0.4s, v1.4s, v2.s[0]
    "4e22f420": "fp_vector",  # fmax v0.4s, v1.4s, v2.4s
    "4e21d820": "fp_vector",  # scvtf v0.4s, v1.4s
    "1e220820": "fp_scalar",  # fmul s0, s1, s2
    "4e829420": "dot",  # sdot v0.4s, v1.16b, v2.16b
    "4f82e020": "dot",  # sdot v0.4s, v1.16b, v2.4b[0]
    "4e82a420": "matrix",  # smmla v0.4s, v1.16b, v2.16b
    "0e22c020": "vector_multiply",  # smull v0.8h, v1.8b, v2.8b
    "0f422020": "vector_multiply",  # smlal v0.4s, v1.4h, v2.h[0]
    "4ea29420": "vector_multiply",  # mla v0.4s, v1.4s, v2.4s
    "4ea28420": "vector_integer",  # add v0.4s, v1.4s, v2.4s
    "4e206820": "vector_integer",  # sadalp v0.8h, v1.16b
    "04a00020": "sve",  # add z0.s, z1.s, z0.s
}


def _compiled(cc: list[str], tmp_path: Path, source: str) -> Path:
    (tmp_path / "test.c").write_text(source)
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{SOURCES}", "-Wno-unused-function", "-Wno-unused-variable"]
    subprocess.run([*cc, *flags, "-o", tmp_path / "test", tmp_path / "test.c"], check=True)
    return tmp_path / "test"


def _output(program: Path, text: str) -> list[str]:
    return subprocess.run([program], input=text, capture_output=True, text=True, check=True).stdout.split()


def test_instructions_fall_into_their_classes(cc, tmp_path):
    source = """
    #include "plugin_classes.h"
    #include <stdio.h>
    int main(void) { unsigned word; while (scanf("%x", &word) == 1) puts(class_name[classify(word)]); return 0; }
    """
    found = _output(_compiled(cc, tmp_path, source), "\n".join(WORDS))
    assert dict(zip(WORDS, found, strict=True)) == WORDS


CACHES = """
#include "plugin_caches.h"
int main(void) {
    unsigned long line;
    configure(&l1d, "512:2"); configure(&l2, "2048:4"); /* 4 sets of 2 ways; 8 sets of 4 ways */
    while (scanf("%lu", &line) == 1) access_bytes(&l1d, line * 64, 1);
    printf("%lu %lu %lu\\n", (unsigned long)l1d.accesses, (unsigned long)l1d.misses, (unsigned long)l2.misses);
    return 0;
}
"""


@pytest.mark.parametrize(
    ("lines", "counts"),
    [
        ("0 0 0", (3, 1, 1)),
        ("0 4 0 4", (4, 2, 2)),  # both fit the set's two ways
        ("0 4 8 0", (4, 4, 3)),  # the least recently used, 0, was thrown out of the first level
        ("0 4 0 8 0", (5, 3, 3)),  # 0 was used after 4
        ("0 1 2 3", (4, 4, 4)),
    ],
)
def test_caches_throw_out_the_least_recently_used(cc, tmp_path, lines, counts):
    assert tuple(map(int, _output(_compiled(cc, tmp_path, CACHES), lines))) == counts


@pytest.mark.parametrize("text", ["", "512", "x:2", "512:0", "32:1"])
def test_a_wrong_cache_is_refused(cc, tmp_path, text):
    source = f'#include "plugin_caches.h"\nint main(void) {{ return configure(&l1d, "{text}"); }}'
    assert _output(_compiled(cc, tmp_path, source), "") == []
