//! Credit by approximate dynamic programming: the traces of a group merged into a prefix tree, soft values backed up in one pass.

use crate::train::losses::advantage::{EPSILON, Moments, returns};

/// A prefix that one or more traces of the group share; its last token is the action that led to it.
#[derive(Default)]
struct Node {
    token: u32,
    parent: usize,
    /// Index of the newest child, 0 for none: the root is nobody's child.
    child: usize,
    /// Index of the sibling made before this one, 0 for none.
    sibling: usize,
    /// Traces that pass through or end here.
    visits: u32,
    /// Traces that end here.
    ends: u32,
    /// Sum over those traces of the reward for the last token.
    reward: f64,
    /// Q of the last token in the parent's state.
    q: f64,
    /// V of this state.
    value: f64,
    /// Advantage of the last token.
    credit: f64,
}

/// Token advantages of a group from its prefix tree.
///
/// A state is a prefix, and the empirical policy at it the share of the group's traces that go on with each token. From the leaves up,
/// Q(s, a) = r(s, a) + γ·V(s′) and V(s) = τ·ln Σ_a (n_a/n)·exp(Q(s, a)/τ): the mean for `tau` = ∞, the maximum for `tau` ≤ 0. r(s, a) is the mean
/// over the traces that share the token (they differ only where one ends on it); ending where others go on is a choice of its own, with Q = 0.
///
/// Where several choices were tried, a token's credit is Q(s, a) − V(s), and all tokens after it carry that credit up to the next such
/// state: no sample tells them apart. Tokens before the first such state get 0. Credits are divided by the sample standard deviation of the
/// traces' discounted returns plus 1e-4. So with γ = 1 and τ = ∞, traces that part at their first token get the advantages of
/// [`Estimator::Group`](super::advantage::Estimator::Group), and along any trace the credits of its branches add up to its return less V of the root.
///
/// `group`: tokens of each trace. `rewards`: token rewards of each, in the same shape (a missing one counts 0); a trace reward sits on the last token.
/// Returns advantages in the shape of `group`. Time is linear in the number of tokens, times at most the number of traces where they branch.
pub fn tree_advantages(group: &[&[u32]], rewards: &[Vec<f32>], gamma: f32, tau: f32) -> Vec<Vec<f32>> {
    let (mut nodes, paths) = merge(group, rewards);
    for i in (0..nodes.len()).rev() {
        let value = soft_value(&nodes, i, f64::from(tau));
        let n = &mut nodes[i];
        n.value = value;
        n.q = n.reward / f64::from(n.visits.max(1)) + f64::from(gamma) * value;
    }
    for i in 1..nodes.len() {
        let parent = &nodes[nodes[i].parent];
        let branches = nodes[i].visits < parent.visits;
        nodes[i].credit = if branches { nodes[i].q - parent.value } else { parent.credit };
    }
    let scale = 1.0 / (Moments::of(rewards.iter().map(|r| returns(r, gamma).first().copied().unwrap_or(0.0))).std + EPSILON);
    paths.iter().map(|path| path.iter().map(|&i| (nodes[i].credit * scale) as f32).collect()).collect()
}

/// The tree, root first and every node after its parent, and the nodes along each trace.
fn merge(group: &[&[u32]], rewards: &[Vec<f32>]) -> (Vec<Node>, Vec<Vec<usize>>) {
    let mut nodes = vec![Node::default()];
    let mut paths = Vec::with_capacity(group.len());
    for (i, tokens) in group.iter().enumerate() {
        let mut at = 0;
        nodes[0].visits += 1;
        let mut path = Vec::with_capacity(tokens.len());
        for (t, &token) in tokens.iter().enumerate() {
            let known = children(&nodes, at).find(|&c| nodes[c].token == token);
            at = known.unwrap_or_else(|| {
                let new = nodes.len();
                nodes.push(Node { token, parent: at, sibling: nodes[at].child, ..Node::default() });
                nodes[at].child = new;
                new
            });
            nodes[at].visits += 1;
            nodes[at].reward += f64::from(rewards.get(i).and_then(|r| r.get(t)).copied().unwrap_or(0.0));
            path.push(at);
        }
        nodes[at].ends += 1;
        paths.push(path);
    }
    (nodes, paths)
}

fn children(nodes: &[Node], of: usize) -> impl Iterator<Item = usize> + '_ {
    std::iter::successors(Some(nodes[of].child), |&c| Some(nodes[c].sibling)).take_while(|&c| c != 0)
}

/// V of state `i`, whose children's Q are known.
fn soft_value(nodes: &[Node], i: usize, tau: f64) -> f64 {
    let n = &nodes[i];
    let end = (n.ends > 0).then_some((n.ends, 0.0));
    let choices = || children(nodes, i).map(|c| (nodes[c].visits, nodes[c].q)).chain(end);
    let max = choices().map(|(_, q)| q).fold(f64::NEG_INFINITY, f64::max);
    let mean = |f: &dyn Fn(f64) -> f64| choices().map(|(k, q)| f64::from(k) * f(q - max)).sum::<f64>() / f64::from(n.visits.max(1));
    if max == f64::NEG_INFINITY {
        0.0
    } else if tau <= 0.0 {
        max
    } else if tau.is_infinite() {
        max + mean(&|d| d)
    } else {
        // ln Σ w·e^{d/τ} = ln(1 + Σ w·(e^{d/τ} − 1)), which keeps its digits for large τ too.
        max + tau * mean(&|d| (d / tau).exp_m1()).ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::super::advantage::{Estimator, advantages};
    use super::*;

    const MEAN: f32 = f32::INFINITY;

    /// Three traces: `1 2 3`, `1 2 4 5` and `1 6`, with these rewards on the last token.
    fn run(rewards: [f32; 3], gamma: f32, tau: f32) -> Vec<Vec<f32>> {
        let last = |n: usize, r: f32| (1..=n).map(|t| if t == n { r } else { 0.0 }).collect::<Vec<_>>();
        let rewards = [last(3, rewards[0]), last(4, rewards[1]), last(2, rewards[2])];
        tree_advantages(&[&[1, 2, 3], &[1, 2, 4, 5], &[1, 6]], &rewards, gamma, tau)
    }

    fn close(got: &[Vec<f32>], want: &[&[f64]], scale: f64) {
        for (g, w) in got.iter().flatten().zip(want.iter().copied().flatten()) {
            assert!((f64::from(*g) - w / scale).abs() < 1e-6, "{got:?}");
        }
        assert!(got.iter().map(Vec::len).eq(want.iter().map(|w| w.len())));
    }

    #[test]
    fn means_by_hand() {
        // V(1 2) = (3 + 0)/2 = 1.5, V(1) = (2·1.5 + 0)/3 = 1; returns 3, 0, 0: sample std √3.
        let want: [&[f64]; 3] = [&[0.0, 0.5, 1.5], &[0.0, 0.5, -1.5, -1.5], &[0.0, -1.0]];
        close(&run([3.0, 0.0, 0.0], 1.0, MEAN), &want, 3_f64.sqrt() + 1e-4);
    }

    #[test]
    fn discount_and_maximum_by_hand() {
        // γ = ½. Q(1 2, 3) = 8, Q(1 2, 4) = ½·4 = 2, V(1 2) = 8; Q(1, 2) = 4, Q(1, 6) = 6, V(1) = 6. Returns 2, ½, 3: mean 11/6, std √(19/12).
        let want: [&[f64]; 3] = [&[0.0, -2.0, 0.0], &[0.0, -2.0, -6.0, -6.0], &[0.0, 0.0]];
        close(&run([8.0, 4.0, 6.0], 0.5, 0.0), &want, (19.0_f64 / 12.0).sqrt() + 1e-4);
    }

    #[test]
    fn temperature_goes_from_maximum_to_mean() {
        // V(1 2) = ln((e³ + 1)/2), V(1) = ln((2·e^V(1 2) + 1)/3).
        let (v2, scale) = (((3_f64.exp() + 1.0) / 2.0).ln(), 3_f64.sqrt() + 1e-4);
        let v1 = ((2.0 * v2.exp() + 1.0) / 3.0).ln();
        close(&run([3.0, 0.0, 0.0], 1.0, 1.0), &[&[0.0, v2 - v1, 3.0 - v2], &[0.0, v2 - v1, -v2, -v2], &[0.0, -v1]], scale);
        let far =
            |a: Vec<Vec<f32>>, b: Vec<Vec<f32>>| a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far(run([3.0, 0.0, 1.0], 0.9, 1e7), run([3.0, 0.0, 1.0], 0.9, MEAN)) < 1e-5);
        assert!(far(run([3.0, 0.0, 1.0], 0.9, 1e-4), run([3.0, 0.0, 1.0], 0.9, 0.0)) < 1e-3);
        assert!(run([3e4, -3e4, 0.0], 1.0, 1e-3).iter().flatten().all(|a| a.is_finite()));
    }

    #[test]
    fn without_shared_tokens_it_is_the_group_advantage() {
        let rewards = [0.2, -1.0, 0.7, 0.7];
        let tokens: [&[u32]; 4] = [&[1, 5, 5], &[2], &[3, 5], &[4, 1, 1, 1]];
        let dense: Vec<Vec<f32>> = rewards.iter().zip(tokens).map(|(r, t)| vec![r / t.len() as f32; t.len()]).collect();
        let got = tree_advantages(&tokens, &dense, 1.0, MEAN);
        for (got, want) in got.iter().zip(advantages(Estimator::Group, &rewards)) {
            assert!(got.iter().all(|a| (a - want).abs() < 1e-5), "{got:?} {want}");
        }
    }

    #[test]
    fn ending_where_others_go_on_is_a_choice() {
        // `1` ends with reward 1, `1 2` gets 3 at its end: r(root, 1) = ½, V(1) = (0 + 3)/2; std of 1, 3 = √2.
        let got = tree_advantages(&[&[1], &[1, 2]], &[vec![1.0], vec![0.0, 3.0]], 1.0, MEAN);
        close(&got, &[&[0.0], &[0.0, 1.5]], 2_f64.sqrt() + 1e-4);
    }

    #[test]
    fn equal_traces_and_no_traces_get_nothing() {
        assert_eq!(tree_advantages(&[&[1, 2], &[1, 2]], &[vec![0.0, 1.0], vec![0.0, 1.0]], 1.0, 0.5), [[0.0; 2]; 2]);
        assert!(tree_advantages(&[], &[], 1.0, 0.5).is_empty());
        assert_eq!(tree_advantages(&[&[], &[]], &[vec![], vec![]], 1.0, 0.5), [[0.0; 0]; 2]);
        assert_eq!(tree_advantages(&[&[1], &[2]], &[], 1.0, 0.5), [[0.0], [0.0]]);
    }

    #[test]
    fn a_deep_group_is_no_deep_recursion() {
        let long = vec![7_u32; 200_000];
        let other = [&long[..100_000], &[8; 100_000]].concat();
        let rewards = [vec![0.0; 200_000], [vec![0.0; 199_999], vec![1.0]].concat()];
        let got = tree_advantages(&[&long, &other], &rewards, 1.0, MEAN);
        assert!(got[1][99_999] == 0.0 && got[1][100_000] > 0.5 && got[0][199_999] < -0.5);
    }
}
