//! Matrix products on strided slices: a bounds-checked face of the `gemm` crate.
#![allow(unsafe_code)]

use super::threads;
use gemm::Parallelism;

/// A read-only matrix inside a slice: element (i, j) is `data[i * rs + j * cs]`.
#[derive(Clone, Copy)]
pub struct Mat<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    rs: usize,
    cs: usize,
}

impl<'a> Mat<'a> {
    /// Row-major `rows` × `cols`, rows `rs` apart.
    pub fn rows(data: &'a [f32], rows: usize, cols: usize, rs: usize) -> Self {
        Self { data, rows, cols, rs, cs: 1 }
    }
    /// The transpose, without moving anything.
    pub fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, rs: self.cs, cs: self.rs, ..self }
    }
}

fn needed(rows: usize, cols: usize, rs: usize, cs: usize) -> usize {
    if rows == 0 || cols == 0 { 0 } else { (rows - 1) * rs + (cols - 1) * cs + 1 }
}

/// `dst ← beta·dst + alpha·a·b`, `dst` row-major with rows `dst_rs` apart. `beta` 0 overwrites, whatever stood there.
///
/// Products above about 4 M multiply–adds use all threads, unless the caller is itself one of rayon's workers.
///
/// # Panics
/// If shapes disagree or a matrix leaves its slice: an error in this program, never in its input.
pub fn gemm(dst: &mut [f32], dst_rs: usize, beta: f32, alpha: f32, a: Mat, b: Mat) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    assert_eq!(a.cols, b.rows, "inner dimensions");
    assert!(needed(m, k, a.rs, a.cs) <= a.data.len() && needed(k, n, b.rs, b.cs) <= b.data.len(), "operand bounds");
    assert!(needed(m, n, dst_rs, 1) <= dst.len() && (m < 2 || dst_rs >= n), "destination bounds");
    if m == 0 || n == 0 {
        return;
    }
    let parallel = m * n * k > 4 << 20 && threads::idle();
    let parallelism = if parallel { Parallelism::Rayon(0) } else { Parallelism::None };
    // SAFETY: every address gemm forms is (i·rs + j·cs) inside the three slices, checked above; dst is exclusive.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.as_mut_ptr(),
            1,
            dst_rs as isize,
            beta != 0.0,
            a.data.as_ptr(),
            a.cs as isize,
            a.rs as isize,
            b.data.as_ptr(),
            b.cs as isize,
            b.rs as isize,
            beta,
            alpha,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strided_products_match_the_definition() {
        let a: Vec<f32> = (0..30).map(|x| x as f32 * 0.5 - 3.0).collect();
        let b: Vec<f32> = (0..30).map(|x| (x as f32).sin()).collect();
        let (m, k, n) = (3, 4, 5);
        let mut dst = vec![1.0; m * 6];
        gemm(&mut dst, 6, 2.0, 0.5, Mat::rows(&a, m, k, 7), Mat::rows(&b, n, k, 5).t());
        for i in 0..m {
            for j in 0..n {
                let want = 2.0 + 0.5 * (0..k).map(|l| a[i * 7 + l] * b[j * 5 + l]).sum::<f32>();
                assert!((dst[i * 6 + j] - want).abs() < 1e-5);
            }
            assert!(i == m - 1 || dst[i * 6 + 5] == 1.0);
        }
    }
}
