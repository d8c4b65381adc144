//! What a test does to the disks of a node.

use interlock_journal::disk::{Crash, Disk, Fault};

use crate::node::DiskOf;
use crate::world::{NodeIx, World};

impl World {
    /// Lets an operation of a node's disk fail: the one after `operations_from_now` others that change
    /// something.
    pub fn inject(&self, ix: NodeIx, disk: DiskOf, operations_from_now: u64, fault: Fault) {
        if let Some(node) = self.nodes.get(ix) {
            let disk = match disk {
                DiskOf::Journal => &node.disk.journal,
                DiskOf::Keys => &node.disk.keys,
                DiskOf::Tables => &node.disk.tables,
            };
            disk.inject(operations_from_now, fault);
        }
    }

    /// Leaves the disk of a node's journal room for so many more bytes; `None` lifts the limit.
    pub fn limit_disk(&self, ix: NodeIx, room_bytes: Option<u64>) {
        if let Some(node) = self.nodes.get(ix) {
            let disk = &node.disk.journal;
            disk.set_capacity_bytes(room_bytes.map(|room| disk.used_bytes() + room));
        }
    }

    /// Takes away the faults and limits of a node's disks that did not strike yet.
    pub fn clear_faults(&self, ix: NodeIx) {
        if let Some(node) = self.nodes.get(ix) {
            for disk in [&node.disk.journal, &node.disk.keys, &node.disk.tables] {
                disk.crash(Crash::KeepAll);
                disk.set_capacity_bytes(None);
            }
        }
    }

    /// Flips a bit of every file of a node's tables, at a place that differs from file to file.
    pub fn damage_tables(&self, ix: NodeIx, place: u64) {
        let Some(node) = self.nodes.get(ix) else {
            return;
        };
        let mut disk = node.disk.tables.clone();
        for (name, at) in disk.list().unwrap_or_default().iter().zip(place..) {
            let len = disk.len(name).unwrap_or(0);
            let offset = at.wrapping_mul(7_919).checked_rem(len).unwrap_or(0);
            disk.flip(name, offset, 1);
        }
    }
}
