// SPDX-License-Identifier: Apache-2.0
//! Finding something in an ordered slice whose elements are spread evenly, as hashes are.

use std::cmp::Ordering;

/// Length (elements) above which a slice is bisected: whoever chooses what is hashed may have seen to it that it is not
/// spread evenly.
const MAX_WALKED: usize = 128;

/// Where an element is, or where it belongs. `guess` is about there: the elements next to it are in the cache by then,
/// while each step of a bisection would be a miss.
pub(crate) fn search_near<T>(slice: &[T], guess: usize, order: impl Fn(&T) -> Ordering) -> Result<usize, usize> {
    if slice.len() > MAX_WALKED {
        return slice.binary_search_by(order);
    }
    let mut index = guess.min(slice.len());
    while let Some(element) = slice.get(index) {
        match order(element) {
            Ordering::Less => index += 1,
            Ordering::Equal => return Ok(index),
            Ordering::Greater => break,
        }
    }
    while index > 0 {
        match order(&slice[index - 1]) {
            Ordering::Less => break,
            Ordering::Equal => return Ok(index - 1),
            Ordering::Greater => index -= 1,
        }
    }
    Err(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_a_bisection_finds_wherever_it_begins() {
        for length in [0, 1, 2, 9, MAX_WALKED + 1] {
            let slice: Vec<usize> = (0..length).map(|number| 2 * number + 1).collect();
            for wanted in 0..=2 * length {
                for guess in [0, wanted / 2, length / 2, length, length + 5] {
                    let found = search_near(&slice, guess, |number| number.cmp(&wanted));
                    assert_eq!(found, slice.binary_search(&wanted), "{wanted} in {length} from {guess}");
                }
            }
        }
    }
}
