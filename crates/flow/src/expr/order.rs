//! The functions that order and group.

use super::{
    builtin::wrong,
    eval::{Evaluator, Outs},
    value::{Fail, Item},
};
use serde_json::Value;
use std::cmp::Ordering;

/// The stream that orders an item, and the item.
type Keyed<'a> = (Vec<Item<'a>>, Item<'a>);

impl<'a> Evaluator<'a> {
    /// Each member beside the stream that orders it.
    pub(super) fn keyed(&self, input: &Item<'a>, key: impl Fn(&Item<'a>) -> Outs<'a>) -> Fail<Vec<Keyed<'a>>> {
        if !input.is_array() {
            return wrong("ordering", input);
        }
        self.each(input.clone())?.into_iter().map(|item| Ok((key(&item).all()?, item))).collect()
    }

    fn order(&self, a: &[Item<'a>], b: &[Item<'a>]) -> Fail<Ordering> {
        for (x, y) in a.iter().zip(b) {
            match self.meter.compare(x, y)? {
                Ordering::Equal => {}
                other => return Ok(other),
            }
        }
        Ok(a.len().cmp(&b.len()))
    }

    /// A stable merge sort. The library's own may not be given a comparison that can fail.
    fn merge_sort(&self, mut items: Vec<Keyed<'a>>) -> Fail<Vec<Keyed<'a>>> {
        if items.len() < 2 {
            return Ok(items);
        }
        let right = self.merge_sort(items.split_off(items.len() / 2))?;
        let left = self.merge_sort(items)?;
        let mut merged = Vec::with_capacity(left.len() + right.len());
        let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
        while let (Some((a, _)), Some((b, _))) = (left.peek(), right.peek()) {
            let next = if self.order(a, b)?.is_gt() { right.next() } else { left.next() };
            merged.extend(next);
        }
        merged.extend(left.chain(right));
        Ok(merged)
    }

    pub(super) fn sorted_by(&self, input: &Item<'a>, key: impl Fn(&Item<'a>) -> Outs<'a>) -> Fail<Value> {
        let items = self.merge_sort(self.keyed(input, key)?)?;
        items.into_iter().map(|(_, item)| self.meter.own(item)).collect::<Fail<Vec<_>>>().map(Value::Array)
    }

    pub(super) fn groups(&self, input: &Item<'a>, key: impl Fn(&Item<'a>) -> Outs<'a>) -> Fail<Vec<Vec<Item<'a>>>> {
        let mut groups: Vec<Vec<Item<'a>>> = Vec::new();
        let mut last: Option<Vec<Item<'a>>> = None;
        for (key, item) in self.merge_sort(self.keyed(input, key)?)? {
            let same = match &last {
                Some(last) => self.order(last, &key)?.is_eq(),
                None => false,
            };
            match groups.last_mut() {
                Some(group) if same => group.push(item),
                _ => groups.push(vec![item]),
            }
            last = Some(key);
        }
        Ok(groups)
    }

    pub(super) fn grouped(&self, groups: Vec<Vec<Item<'a>>>) -> Fail<Value> {
        groups
            .into_iter()
            .map(|items| self.collect(Outs { items, error: None }))
            .collect::<Fail<Vec<_>>>()
            .map(Value::Array)
    }

    pub(super) fn firsts(&self, groups: Vec<Vec<Item<'a>>>) -> Fail<Value> {
        let items = groups.into_iter().filter_map(|group| group.into_iter().next()).collect();
        self.collect(Outs { items, error: None })
    }

    pub(super) fn extreme(&self, keyed: Vec<Keyed<'a>>, greatest: bool) -> Fail<Value> {
        let mut best: Option<Keyed<'a>> = None;
        for (key, item) in keyed {
            let better = match &best {
                None => true,
                Some((held, _)) => {
                    let order = self.order(&key, held)?;
                    if greatest { order.is_ge() } else { order.is_lt() }
                }
            };
            if better {
                best = Some((key, item));
            }
        }
        best.map_or(Ok(Value::Null), |(_, item)| self.meter.own(item))
    }
}
