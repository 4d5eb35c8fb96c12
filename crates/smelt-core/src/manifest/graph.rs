//! The dependencies between sessions, as a graph.

/// Nodes in an order in which each comes after those it depends on, ties in their given order; or
/// the nodes of a cycle, first and last being the same.
///
/// `edges[n]` are the nodes that `n` depends on.
pub(super) fn topological_order(edges: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut order = Vec::with_capacity(edges.len());
    let mut done = vec![false; edges.len()];
    while order.len() < edges.len() {
        let next = (0..edges.len()).find(|&n| !done[n] && edges[n].iter().all(|&d| done[d]));
        match next {
            Some(node) => {
                done[node] = true;
                order.push(node);
            }
            None => return Err(find_cycle(edges, &done)),
        }
    }
    Ok(order)
}

/// Walks from any node that is left: each of them depends on another that is left.
fn find_cycle(edges: &[Vec<usize>], done: &[bool]) -> Vec<usize> {
    let mut path: Vec<usize> = done.iter().position(|done| !done).into_iter().collect();
    while let Some(&last) = path.last() {
        let Some(&next) = edges[last].iter().find(|&&d| !done[d]) else { break };
        if let Some(start) = path.iter().position(|&node| node == next) {
            path.push(next);
            return path.split_off(start);
        }
        path.push(next);
    }
    path
}

/// The largest sum of `weights` along a chain of dependencies; `order` is topological.
pub(super) fn longest_path(edges: &[Vec<usize>], order: &[usize], weights: &[u64]) -> u64 {
    let mut longest = vec![0u64; edges.len()];
    for &node in order {
        let before = edges[node].iter().map(|&d| longest[d]).max().unwrap_or(0);
        longest[node] = before.saturating_add(weights[node]);
    }
    longest.into_iter().max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cycle_is_found_also_behind_a_tail() {
        let edges = vec![vec![1], vec![2], vec![3], vec![1]];
        assert_eq!(topological_order(&edges), Err(vec![1, 2, 3, 1]));
        assert_eq!(topological_order(&[vec![0]]), Err(vec![0, 0]));
    }

    #[test]
    fn ties_keep_their_given_order() {
        let edges = vec![vec![2], vec![], vec![], vec![0, 1]];
        assert_eq!(topological_order(&edges), Ok(vec![1, 2, 0, 3]));
    }

    #[test]
    fn the_longest_path_is_not_the_sum() {
        let edges = vec![vec![], vec![], vec![0, 1]];
        assert_eq!(longest_path(&edges, &[0, 1, 2], &[10, 30, 5]), 35);
    }

    proptest! {
        #[test]
        fn every_graph_has_an_order_or_a_real_cycle(
            edges in (1usize..8).prop_flat_map(|n| {
                prop::collection::vec(prop::collection::vec(0..n, 0..4), n)
            })
        ) {
            match topological_order(&edges) {
                Ok(order) => {
                    let place = |n: usize| order.iter().position(|&o| o == n).unwrap();
                    for (n, deps) in edges.iter().enumerate() {
                        prop_assert!(deps.iter().all(|&d| place(d) < place(n)));
                    }
                }
                Err(cycle) => {
                    prop_assert!(cycle.len() >= 2 && cycle.first() == cycle.last());
                    prop_assert!(cycle.windows(2).all(|w| edges[w[0]].contains(&w[1])));
                }
            }
        }
    }
}
