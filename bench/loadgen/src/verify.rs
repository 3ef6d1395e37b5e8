//! Owns the exactly-once and same-order check of one room. Does not know the transport of a message.
//!
//! The room's order is the order in which positions are first seen by any member. A member that meets a
//! position ahead of its cursor leaves holes; a hole filled later is an order violation; a hole never filled is
//! a loss; a position met twice is a duplicate.

use crate::num::fit;
use std::collections::HashSet;

#[derive(Debug, PartialEq, Clone, Copy)]
pub enum Seen {
    First,
    InOrder,
    OutOfOrder,
    Duplicate,
    Unknown,
}

/// How a sender receives its own messages. The first members of a room are its senders, in the same order.
#[derive(Clone, Copy, PartialEq)]
pub enum Own {
    /// As other members do.
    Delivered,
    /// By the answer alone, which has no place in the order.
    Answered,
}

#[derive(Default)]
struct Cursor {
    next: u32,
    holes: HashSet<u32>,
}

/// The messages of others that a sender receives. Compared with the room's order in the end, when others have shown
/// that.
#[derive(Default)]
struct Part {
    heard: Vec<(u32, u32)>,
    seen: HashSet<(u32, u32)>,
}

pub struct RoomCheck {
    /// canonical order: (sender, seq)
    order: Vec<(u32, u32)>,
    /// per sender, per seq: canonical position + 1, 0 for not seen
    pos: Vec<Vec<u32>>,
    acked: Vec<Vec<bool>>,
    cursors: Vec<Cursor>,
    /// By sender, where its own messages come by the answer alone. Such a sender cannot show the room's order.
    parts: Vec<Part>,
    duplicates: u64,
    order_violations: u64,
    /// deliveries that are not duplicates
    pub unique: u64,
}

#[derive(Default, Debug, PartialEq, Clone, Copy)]
pub struct RoomResult {
    /// acked messages x members that were never delivered
    pub lost: u64,
    /// messages that no member saw though they were acked
    pub acked_never_delivered: u64,
    /// messages that were delivered though never acked
    pub delivered_unacked: u64,
    pub duplicates: u64,
    pub order_violations: u64,
}

/// The sum of all rooms.
pub fn sum<'a>(rooms: impl Iterator<Item = &'a RoomCheck>) -> RoomResult {
    rooms.fold(RoomResult::default(), |sum, room| {
        let found = room.finish();
        RoomResult {
            lost: sum.lost + found.lost,
            acked_never_delivered: sum.acked_never_delivered + found.acked_never_delivered,
            delivered_unacked: sum.delivered_unacked + found.delivered_unacked,
            duplicates: sum.duplicates + found.duplicates,
            order_violations: sum.order_violations + found.order_violations,
        }
    })
}

impl RoomCheck {
    pub fn new(members: usize, senders: usize, own: Own) -> RoomCheck {
        RoomCheck {
            order: Vec::new(),
            pos: vec![Vec::new(); senders],
            acked: vec![Vec::new(); senders],
            cursors: (0..members).map(|_| Cursor::default()).collect(),
            parts: match own {
                Own::Delivered => Vec::new(),
                Own::Answered => (0..senders).map(|_| Part::default()).collect(),
            },
            duplicates: 0,
            order_violations: 0,
            unique: 0,
        }
    }

    pub fn members(&self) -> usize {
        self.cursors.len()
    }

    pub fn sent(&mut self, sender: usize) {
        self.pos[sender].push(0);
        self.acked[sender].push(false);
    }

    /// False when this message was acked before, or never sent.
    pub fn ack(&mut self, sender: usize, seq: u32) -> bool {
        match self.acked[sender].get_mut(seq as usize) {
            Some(a) if !*a => {
                *a = true;
                true
            }
            _ => false,
        }
    }

    #[inline]
    pub fn deliver(&mut self, member: usize, sender: usize, seq: u32) -> Seen {
        let Some(slot) = self
            .pos
            .get_mut(sender)
            .and_then(|p| p.get_mut(seq as usize))
        else {
            return Seen::Unknown;
        };
        if let Some(part) = self.parts.get_mut(member) {
            let message = (fit(sender), seq);
            if member == sender || !part.seen.insert(message) {
                self.duplicates += 1;
                return Seen::Duplicate;
            }
            part.heard.push(message);
            self.unique += 1;
            return Seen::InOrder;
        }
        let mut first = false;
        if *slot == 0 {
            self.order.push((fit(sender), seq));
            *slot = fit(self.order.len());
            first = true;
        }
        let k = *slot - 1;
        let cur = &mut self.cursors[member];
        if k >= cur.next {
            for h in cur.next..k {
                cur.holes.insert(h);
            }
            cur.next = k + 1;
            self.unique += 1;
            if first { Seen::First } else { Seen::InOrder }
        } else if cur.holes.remove(&k) {
            self.order_violations += 1;
            self.unique += 1;
            Seen::OutOfOrder
        } else {
            self.duplicates += 1;
            Seen::Duplicate
        }
    }

    /// The messages that senders which receive only the others have missed, or received in another order.
    fn finish_parts(&self, result: &mut RoomResult) {
        for (member, part) in self.parts.iter().enumerate() {
            let mut last = 0;
            for (sender, seq) in &part.heard {
                let position = self.pos[*sender as usize][*seq as usize];
                result.order_violations += u64::from(position < last);
                last = last.max(position);
            }
            for (sender, acked) in self
                .acked
                .iter()
                .enumerate()
                .filter(|each| each.0 != member)
            {
                let missed =
                    |seq: &usize| acked[*seq] && !part.seen.contains(&(fit(sender), fit(*seq)));
                result.lost += (0..acked.len()).filter(missed).count() as u64;
            }
        }
    }

    pub fn finish(&self) -> RoomResult {
        let mut r = RoomResult {
            duplicates: self.duplicates,
            order_violations: self.order_violations,
            ..RoomResult::default()
        };
        let is_acked = |p: u32| {
            let (s, q) = self.order[p as usize];
            self.acked[s as usize][q as usize]
        };
        self.finish_parts(&mut r);
        for c in self.cursors.iter().skip(self.parts.len()) {
            for &h in &c.holes {
                r.lost += u64::from(is_acked(h));
            }
            for p in c.next..fit(self.order.len()) {
                r.lost += u64::from(is_acked(p));
            }
        }
        for p in 0..fit(self.order.len()) {
            r.delivered_unacked += u64::from(!is_acked(p));
        }
        for (p, a) in self.pos.iter().zip(&self.acked) {
            for (p, a) in p.iter().zip(a) {
                if *a && *p == 0 {
                    r.acked_never_delivered += 1;
                    r.lost += (self.cursors.len() - self.parts.len()) as u64;
                }
            }
        }
        r
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(members: usize, msgs: u32) -> RoomCheck {
        let mut r = RoomCheck::new(members, 1, Own::Delivered);
        for q in 0..msgs {
            r.sent(0);
            assert!(r.ack(0, q));
        }
        r
    }

    #[test]
    fn clean_run() {
        let mut r = room(3, 10);
        for q in 0..10 {
            for m in 0..3 {
                r.deliver(m, 0, q);
            }
        }
        assert_eq!((r.duplicates, r.order_violations, r.unique), (0, 0, 30));
        assert_eq!(r.finish(), RoomResult::default());
    }

    #[test]
    fn members_may_lag_behind_each_other() {
        let mut r = room(2, 10);
        for q in 0..10 {
            r.deliver(0, 0, q);
        }
        for q in 0..10 {
            r.deliver(1, 0, q);
        }
        assert_eq!((r.duplicates, r.order_violations), (0, 0));
        assert_eq!(r.finish().lost, 0);
    }

    #[test]
    fn loss_in_the_middle_and_at_the_end() {
        let mut r = room(2, 5);
        for q in 0..5 {
            r.deliver(0, 0, q);
        }
        for q in [0, 1, 3] {
            r.deliver(1, 0, q);
        }
        assert_eq!(r.order_violations, 0);
        assert_eq!(r.finish().lost, 2);
    }

    #[test]
    fn acked_but_delivered_to_nobody() {
        let mut r = room(4, 2);
        for m in 0..4 {
            r.deliver(m, 0, 0);
        }
        assert_eq!(
            r.finish(),
            RoomResult {
                lost: 4,
                acked_never_delivered: 1,
                ..RoomResult::default()
            }
        );
    }

    #[test]
    fn duplicate() {
        let mut r = room(1, 2);
        assert_eq!(r.deliver(0, 0, 0), Seen::First);
        assert_eq!(r.deliver(0, 0, 1), Seen::First);
        assert_eq!(r.deliver(0, 0, 0), Seen::Duplicate);
        assert_eq!((r.duplicates, r.unique), (1, 2));
    }

    #[test]
    fn swapped_for_one_member() {
        let mut r = room(2, 3);
        for q in [0, 1, 2] {
            r.deliver(0, 0, q);
        }
        for q in [0, 2, 1] {
            r.deliver(1, 0, q);
        }
        assert_eq!(r.order_violations, 1);
        assert_eq!(r.finish().lost, 0);
    }

    #[test]
    fn two_senders_interleaved_differently() {
        let mut r = RoomCheck::new(2, 2, Own::Delivered);
        r.sent(0);
        r.sent(1);
        r.ack(0, 0);
        r.ack(1, 0);
        r.deliver(0, 0, 0);
        r.deliver(0, 1, 0);
        r.deliver(1, 1, 0);
        assert_eq!(r.deliver(1, 0, 0), Seen::OutOfOrder);
    }

    #[test]
    fn where_the_answer_is_the_delivery_a_sender_is_held_against_what_others_heard() {
        let mut r = RoomCheck::new(3, 2, Own::Answered);
        for q in 0..2 {
            r.sent(0);
            r.sent(1);
            assert!(r.ack(0, q) && r.ack(1, q));
        }
        // the room's order is 0-0, 1-0, 0-1, 1-1: only the third member shows it, and it is the last to receive
        r.deliver(0, 1, 0);
        r.deliver(1, 0, 1);
        for (s, q) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            r.deliver(2, s, q);
        }
        assert_eq!((r.finish().lost, r.finish().order_violations), (2, 0));
        r.deliver(0, 1, 1);
        r.deliver(1, 0, 0);
        assert_eq!((r.finish().lost, r.finish().order_violations), (0, 1));
        assert_eq!(r.deliver(0, 0, 0), Seen::Duplicate);
        assert_eq!(r.deliver(0, 1, 1), Seen::Duplicate);
    }

    #[test]
    fn delivered_without_ack_and_unknown() {
        let mut r = RoomCheck::new(1, 1, Own::Delivered);
        r.sent(0);
        assert_eq!(r.deliver(0, 0, 0), Seen::First);
        assert_eq!(r.deliver(0, 0, 9), Seen::Unknown);
        assert_eq!(r.finish().delivered_unacked, 1);
        assert!(r.ack(0, 0));
        assert!(!r.ack(0, 0));
    }
}
