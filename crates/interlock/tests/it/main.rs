//! The program as its users meet it: real processes, real sockets, data directories of their own.

#[cfg(test)]
mod backup;
#[cfg(test)]
mod canary;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod evidence_page;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod life;
#[cfg(test)]
mod mediation;
#[cfg(test)]
mod memory;
mod open_files;
#[cfg(test)]
mod ports;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod rebuild;
