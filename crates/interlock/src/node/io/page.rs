//! Requests of the pages.

use super::Digest;
use crate::identity::code_key::CodeKey;
use crate::identity::person::PersonName;

/// Pages behind unguessable links.
#[derive(Debug)]
pub enum PageRequest {
    /// `/t/{token}`.
    Tracking(Digest),
    /// `/p/{token}`.
    Pickup(Digest),
    /// `POST /p/{token}/code`.
    ShowCode(Digest),
    /// Who somebody is who wants to log in, for the door that checks the password.
    Person(PersonName),
    /// `POST /p/{token}/erase`: the recipient wants their data deleted.
    Erase(Digest),
    /// `POST /p/{token}/later`: the recipient wants more time.
    Later(Digest),
    /// `POST /p/{token}/delegate`: a link for somebody else.
    Delegate(Digest),
    /// `POST /p/{token}/withdraw`: that link ends.
    Withdraw(Digest),
    /// `POST /p/{token}/enrol`: from here on the code leaves sealed to this key alone.
    Enrol(Digest, CodeKey),
    /// `POST /p/{token}/stuck` and `/empty`: what is wrong at the locker.
    Report(Digest, Report),
    /// `/d/{token}`: the page of somebody whom the recipient sends.
    Delegated(Digest),
    /// `POST /d/{token}/code`.
    DelegatedCode(Digest),
}

/// What whoever has the pick-up link finds wrong at the locker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The door does not open.
    Stuck,
    /// Nothing lies in the compartment.
    Empty,
}
