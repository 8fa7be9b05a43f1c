use super::*;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

const KINDS: [(GgmlDType, Kind); 8] = [
    (GgmlDType::Q4_0, Kind::Q4_0),
    (GgmlDType::Q4_1, Kind::Q4_1),
    (GgmlDType::Q5_0, Kind::Q5_0),
    (GgmlDType::Q5_1, Kind::Q5_1),
    (GgmlDType::Q8_0, Kind::Q8_0),
    (GgmlDType::Q4K, Kind::Q4K),
    (GgmlDType::Q5K, Kind::Q5K),
    (GgmlDType::Q6K, Kind::Q6K),
];

fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut s = seed;
    (0..n)
        .map(|_| {
            s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (s >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

/// A matrix in this format, and what it stands for by candle.
fn matrix(dtype: GgmlDType, kind: Kind, out: usize, input: usize, seed: u32) -> (Codes, Vec<f32>) {
    let w = Tensor::from_vec(numbers(out * input, seed), (out, input), &Device::Cpu).unwrap();
    let q = QTensor::quantize(&w, dtype).unwrap();
    let data = q.data().unwrap().into_owned();
    let codes = codes(kind, out, input, &data);
    (codes, q.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap())
}

fn codes(kind: Kind, out: usize, input: usize, data: &[u8]) -> Codes {
    let row = input / kind.block() * kind.bytes();
    assert_eq!(data.len(), out * row);
    let read = |first: usize, into: &mut [u8]| {
        into.copy_from_slice(&data[first * row..][..into.len()]);
        Ok::<_, ()>(())
    };
    Codes::new(kind, out, input, read).unwrap()
}

/// The product of the matrix with activations that are rounded in the same way, in f64.
fn expected(w: &[f32], x: &[f32], input: usize, block: usize) -> Vec<f64> {
    let rounded: Vec<f64> = x
        .chunks(block)
        .flat_map(|b| {
            let most = b.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
            b.iter().map(move |v| f64::from((v * inverse).round_ties_even()) * f64::from(most / 127.0))
        })
        .collect();
    let dot = |w: &[f32], x: &[f64]| w.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum();
    rounded.chunks(input).flat_map(|x| w.chunks(input).map(move |w| dot(w, x))).collect()
}

#[test]
fn every_format_kernel_and_number_of_rows_matches_the_formula() {
    let best = Kernel::best();
    for (dtype, kind) in KINDS {
        let (out, input) = (40, if kind.is_large() { 768 } else { 96 });
        let (mut codes, w) = matrix(dtype, kind, out, input, 1);
        assert_eq!(codes.dims(), (out, input));
        for kernel in [Kernel::Avx512, Kernel::Avx2, Kernel::Portable] {
            if kernel == Kernel::Avx512 && best != Kernel::Avx512 || kernel == Kernel::Avx2 && best == Kernel::Portable {
                println!("skipped: this processor lacks {kernel:?}");
                continue;
            }
            codes.kernel = kernel;
            for rows in (1..=9).chain([17]) {
                let mut x = numbers(rows * input, 7);
                x[..kind.block()].fill(0.0);
                // A number far above the others of its block.
                x[input - 3] = 40.0;
                let want = expected(&w, &x, input, kind.block());
                for (i, (y, e)) in codes.forward(&x).into_iter().zip(want).enumerate() {
                    assert!((f64::from(y) - e).abs() < 1e-3, "{dtype:?}, {kernel:?}, {rows} rows, at {i}: {y} against {e}");
                }
            }
        }
    }
}

#[test]
fn extreme_codes_do_not_overflow() {
    // All bits of codes set, and none, with activations of the largest size and of both signs.
    for (_, kind) in KINDS {
        let input = 512;
        let blocks = input / kind.block();
        for fill in [0xff_u8, 0x00, 0x80, 0x7f] {
            let mut block = vec![fill; kind.bytes()];
            let one = half::f16::from_f32(0.01).to_le_bytes();
            match kind {
                Kind::Q4_0 | Kind::Q5_0 | Kind::Q8_0 => block[..2].copy_from_slice(&one),
                Kind::Q6K => block[208..].copy_from_slice(&one),
                _ => [0, 2].into_iter().for_each(|at| block[at..at + 2].copy_from_slice(&one)),
            }
            let mut codes = codes(kind, 16, input, &block.repeat(16 * blocks));
            let mut w = vec![0.0; input];
            codes.row(3, &mut w);
            for sign in [1.0, -1.0] {
                let want: f64 = w.iter().map(|w| f64::from(*w) * sign).sum();
                for kernel in
                    [Kernel::best(), if Kernel::best() == Kernel::Portable { Kernel::Portable } else { Kernel::Avx2 }, Kernel::Portable]
                {
                    codes.kernel = kernel;
                    for y in codes.forward(&vec![sign as f32; input]) {
                        let near = (f64::from(y) - want).abs() <= 1e-5 * want.abs() + 1e-3;
                        assert!(near, "{kind:?}, {kernel:?}, bytes {fill:#x}: {y} against {want}");
                    }
                }
            }
        }
    }
}

#[test]
fn rows_stand_for_what_the_file_says() {
    for (dtype, kind) in KINDS {
        let (codes, w) = matrix(dtype, kind, 37, 512, 5);
        let mut all = Vec::new();
        codes.stripes(1000, &mut |first, rows| {
            assert_eq!(first * 512, all.len());
            all.extend_from_slice(rows);
        });
        let far = all.iter().zip(&w).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(all.len() == w.len() && far < 1e-6, "{dtype:?}: {far}");
    }
}

#[test]
fn a_number_that_is_none_stays_none() {
    for (dtype, kind) in KINDS {
        let (mut codes, w) = matrix(dtype, kind, 16, 256, 9);
        let ones: Vec<f64> = w.chunks(256).map(|row| row.iter().map(|w| f64::from(*w)).sum()).collect();
        for kernel in [Kernel::best(), Kernel::Portable] {
            codes.kernel = kernel;
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut x = vec![1.0; 512];
                x[270] = bad;
                let y = codes.forward(&x);
                let near = y[..16].iter().zip(&ones).all(|(y, e)| (f64::from(*y) - e).abs() < 1e-3);
                assert!(near && y[16..].iter().all(|v| v.is_nan()), "{kind:?}, {kernel:?}, {bad}: {y:?}");
            }
        }
    }
}

#[test]
fn large_products_use_all_threads_and_agree() {
    for (dtype, kind) in KINDS {
        let (codes, _) = matrix(dtype, kind, 600, 1024, 3);
        let x = numbers(75 * 1024, 5);
        let single: Vec<f32> = x.chunks(1024).flat_map(|row| codes.forward(row)).collect();
        assert_eq!(codes.forward(&x), single, "{kind:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let read = |first: usize, _: &mut [u8]| if first == 0 { Ok(()) } else { Err(first) };
    assert!(Codes::new(Kind::Q4_0, 100_000, 64, read).unwrap_err() > 0);
}
