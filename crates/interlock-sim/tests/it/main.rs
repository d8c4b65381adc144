//! Whole nodes over a simulated network, disk and clock.

#[cfg(test)]
mod anchors;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod code_keys;
#[cfg(test)]
mod codes;
#[cfg(test)]
mod collection;
#[cfg(test)]
mod deletion;
#[cfg(test)]
mod deposits;
#[cfg(test)]
mod exchange;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod looks;
#[cfg(test)]
mod mediation;
#[cfg(test)]
mod midnight;
#[cfg(test)]
mod non_interference;
#[cfg(test)]
mod old_leaves;
#[cfg(test)]
mod random;
#[cfg(test)]
mod recipient;
#[cfg(test)]
mod renewals;
#[cfg(test)]
mod rollback;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod sealed;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod statistics;
#[cfg(test)]
mod successors;
#[cfg(test)]
mod support;
#[cfg(test)]
mod wishes;
