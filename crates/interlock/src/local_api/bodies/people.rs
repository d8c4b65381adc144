//! People who log in to the pages.

use std::collections::BTreeSet;

use interlock_core::ids::{CourierId, MerchantId};

use super::super::call::Call;
use super::super::input::{one_of, text};
use super::super::problem::internal;
use crate::identity::password::Password;
use crate::identity::person::{DRAWN_BYTES, Drawn, PEOPLE_ROLES, PersonName};
use crate::node::io::{PersonPut, Problem, Role};

/// A person as described in a body, without a password.
pub(in super::super) struct Described {
    name: PersonName,
    roles: BTreeSet<Role>,
    courier: Option<CourierId>,
    merchant: Option<MerchantId>,
}

/// `POST /people`.
pub(in super::super) fn person(call: &Call<'_>) -> Result<Described, Problem> {
    call.object(&["name", "roles", "courier", "merchant"], |object| {
        let name = object.need("name", text(PersonName::parse));
        let roles = object.needed("roles").and_then(|list| {
            object.list("roles", list, &(1..=PEOPLE_ROLES.len()), |item, pointer| {
                let read = one_of(&PEOPLE_ROLES, Role::as_str)(item);
                read.map_err(|detail| object.errors().push(pointer, detail))
                    .ok()
            })
        });
        let courier = object.may("courier", text(CourierId::parse));
        let merchant = object.may("merchant", text(MerchantId::parse));
        Some(Described {
            name: name?,
            roles: roles?.into_iter().collect(),
            courier,
            merchant,
        })
    })
}

/// The same with a password, which is drawn and hashed aside: it takes a while.
///
/// # Errors
/// 500 if it cannot be hashed.
pub(in super::super) async fn with_password(
    described: Described,
    fill: impl FnOnce(&mut [u8]),
) -> Result<(PersonPut, Password), Problem> {
    let mut random = zeroize::Zeroizing::new([0; DRAWN_BYTES]);
    fill(random.as_mut());
    let drawn = tokio::task::spawn_blocking(move || Drawn::of(&random)).await;
    let drawn = drawn.ok().flatten().ok_or_else(internal)?;
    let put = PersonPut {
        name: described.name,
        roles: described.roles,
        courier: described.courier,
        merchant: described.merchant,
        password: drawn.hash,
        enrolment: drawn.enrolment,
    };
    Ok((put, drawn.password))
}
