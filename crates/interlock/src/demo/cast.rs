//! Who takes part: the participants of June 2017.
//!
//! INVARIANT: the seven are fixed, and every parcel of a demo belongs to two of them by marketplace,
//! carrier and operator. Addresses and keys are not known here.

use interlock_core::ids::{IdError, ParticipantId};

use super::parcels::{DemoCarrier, DemoMarketplace, DemoOperator, DemoParcel};
use crate::identity::partner::Role;

/// A participant of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// Owner of Taobao's parcels.
    Cainiao,
    /// Owner of its own parcels.
    Jd,
    /// The large locker operator.
    Fengchao,
    /// The other one.
    Suidiyi,
    /// SF Express.
    Sf,
    /// YTO, one of the Tongda carriers.
    Yto,
    /// The State Post Bureau.
    Bureau,
}

impl Who {
    /// All seven.
    pub const ALL: [Self; 7] = [
        Self::Cainiao,
        Self::Jd,
        Self::Fengchao,
        Self::Suidiyi,
        Self::Sf,
        Self::Yto,
        Self::Bureau,
    ];
    /// Those that own parcels.
    pub const PLATFORMS: [Self; 2] = [Self::Cainiao, Self::Jd];
    /// Those that have lockers.
    pub const OPERATORS: [Self; 2] = [Self::Fengchao, Self::Suidiyi];
    /// Those that carry parcels.
    pub const CARRIERS: [Self; 2] = [Self::Sf, Self::Yto];

    /// The key in reports and directories.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Cainiao => "cainiao",
            Self::Jd => "jd",
            Self::Fengchao => "fengchao",
            Self::Suidiyi => "suidiyi",
            Self::Sf => "sf",
            Self::Yto => "yto",
            Self::Bureau => "post-bureau",
        }
    }

    /// The name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cainiao => "Cainiao",
            Self::Jd => "JD.com",
            Self::Fengchao => "Fengchao",
            Self::Suidiyi => "Suidiyi",
            Self::Sf => "SF Express",
            Self::Yto => "YTO Express",
            Self::Bureau => "State Post Bureau",
        }
    }

    /// What it does.
    pub const fn role(self) -> Role {
        match self {
            Self::Cainiao | Self::Jd => Role::Platform,
            Self::Fengchao | Self::Suidiyi => Role::LockerOperator,
            Self::Sf | Self::Yto => Role::Carrier,
            Self::Bureau => Role::Regulator,
        }
    }

    /// The marketplace whose parcels it owns.
    pub const fn marketplace(self) -> Option<DemoMarketplace> {
        match self {
            Self::Cainiao => Some(DemoMarketplace::Taobao),
            Self::Jd => Some(DemoMarketplace::Jd),
            Self::Fengchao | Self::Suidiyi | Self::Sf | Self::Yto | Self::Bureau => None,
        }
    }

    /// The carrier that it is.
    pub const fn carrier(self) -> Option<DemoCarrier> {
        match self {
            Self::Sf => Some(DemoCarrier::Sf),
            Self::Yto => Some(DemoCarrier::Yto),
            Self::Cainiao | Self::Jd | Self::Fengchao | Self::Suidiyi | Self::Bureau => None,
        }
    }

    /// The domain under which it issues names.
    pub fn domain(self) -> String {
        format!("{}.example", self.key())
    }

    /// Its DID.
    ///
    /// # Errors
    /// None in practice: the domains are fixed.
    pub fn id(self) -> Result<ParticipantId, IdError> {
        ParticipantId::parse(&format!("did:web:{}", self.domain()))
    }

    /// Whose data a parcel's is.
    pub const fn owner(parcel: &DemoParcel) -> Self {
        match parcel.marketplace {
            DemoMarketplace::Taobao => Self::Cainiao,
            DemoMarketplace::Jd => Self::Jd,
        }
    }

    /// Who carries a parcel.
    pub const fn carrier_of(parcel: &DemoParcel) -> Self {
        match parcel.carrier {
            DemoCarrier::Sf => Self::Sf,
            DemoCarrier::Yto => Self::Yto,
        }
    }

    /// Whose locker a parcel goes to.
    pub const fn operator_of(parcel: &DemoParcel) -> Self {
        Self::operator(parcel.operator)
    }

    /// The participant behind an operator.
    pub const fn operator(operator: DemoOperator) -> Self {
        match operator {
            DemoOperator::Fengchao => Self::Fengchao,
            DemoOperator::Suidiyi => Self::Suidiyi,
        }
    }

    /// Whether it may know of a parcel at all: its owner, its carrier and the operator of its locker.
    pub fn may_know(self, parcel: &DemoParcel) -> bool {
        [
            Self::owner(parcel),
            Self::carrier_of(parcel),
            Self::operator_of(parcel),
        ]
        .contains(&self)
    }
}

/// One of something for each participant.
#[derive(Clone, Debug, Default)]
pub struct Seven<T> {
    cainiao: T,
    jd: T,
    fengchao: T,
    suidiyi: T,
    sf: T,
    yto: T,
    bureau: T,
}

impl<T> Seven<T> {
    /// Makes one for each, in order.
    ///
    /// # Errors
    /// The first that `make` gives.
    pub async fn make<E>(mut make: impl AsyncFnMut(Who) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            cainiao: make(Who::Cainiao).await?,
            jd: make(Who::Jd).await?,
            fengchao: make(Who::Fengchao).await?,
            suidiyi: make(Who::Suidiyi).await?,
            sf: make(Who::Sf).await?,
            yto: make(Who::Yto).await?,
            bureau: make(Who::Bureau).await?,
        })
    }

    /// The one of a participant.
    pub const fn of(&self, who: Who) -> &T {
        match who {
            Who::Cainiao => &self.cainiao,
            Who::Jd => &self.jd,
            Who::Fengchao => &self.fengchao,
            Who::Suidiyi => &self.suidiyi,
            Who::Sf => &self.sf,
            Who::Yto => &self.yto,
            Who::Bureau => &self.bureau,
        }
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Who, &T)> {
        Who::ALL.into_iter().map(|who| (who, self.of(who)))
    }

    /// Takes all, in order.
    pub fn take_all(self) -> impl Iterator<Item = (Who, T)> {
        Who::ALL.into_iter().zip([
            self.cainiao,
            self.jd,
            self.fengchao,
            self.suidiyi,
            self.sf,
            self.yto,
            self.bureau,
        ])
    }
}
