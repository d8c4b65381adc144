//! Choosing from what is offered: the catalog's pages, and one dataset.
//!
//! Filter (the protocol leaves its form to the provider): each element of `filter` is a text, and a
//! dataset is chosen if one of them is its identifier or its title. An empty filter chooses all.
//! Pages: the `Link` header of an answer names the next and the previous page by a token; whoever
//! follows it posts the same message to that URL.
//!
//! INVARIANT: pages go by identifier in byte order, so a dataset that stays is on exactly one page of
//! a walk, whatever is published or withdrawn meanwhile. Who may see which dataset is decided before:
//! [`Offerings`] holds only what this caller may see.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Bound;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use interlock_core::ids::WireId;
use serde_json::Value;

use super::error::{DspError, Fault, child};
use super::message::{
    AccessService, Catalog, CatalogNode, CatalogRequestMessage, DataService, Dataset, Distribution,
};
use super::policy::Offer;
use super::routes::Route;
use crate::identity::url::BaseUrl;

/// Most datasets on one page.
pub const PAGE_SIZE_MAX: usize = 1_000;
/// Most elements of a filter.
pub const FILTER_LENGTH_MAX: usize = 100;
/// Datasets on a page of ours. Small pages keep the node free for others.
pub const PAGE_SIZE: usize = 100;
/// The query parameter with the token of a page.
pub const PAGE_PARAMETER: &str = "continuationToken";

/// A dataset on offer.
#[derive(Clone, Debug, PartialEq)]
pub struct OfferedDataset {
    /// Its identifier.
    pub id: WireId,
    /// Its name for people.
    pub title: String,
    /// The formats of a transfer, such as `HttpData-PULL`.
    pub formats: Vec<String>,
    /// The connector's protocol endpoint, where to ask for it.
    pub service: DataService,
    /// Its offers: identifier and policy, as [`Offer::from_policy`] takes it, without `@id`.
    pub offers: Vec<(WireId, Value)>,
}

/// What one caller may see.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offerings(BTreeMap<WireId, Dataset>);

/// Which datasets to choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(BTreeSet<String>);

/// Which page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageToken {
    /// What comes after this dataset.
    After(WireId),
    /// What comes before this dataset.
    Before(WireId),
}

/// A page, and how to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The answer.
    pub catalog: Catalog,
    /// The page after it, if there is one.
    pub next: Option<PageToken>,
    /// The page before it, if there is one.
    pub previous: Option<PageToken>,
}

impl Offerings {
    /// Takes what is offered. Of two datasets with one identifier the later counts.
    ///
    /// # Errors
    /// [`DspError`] for a policy that is none, or a dataset without offers; the pointer begins with
    /// the dataset's and the offer's identifier.
    pub fn new(datasets: impl IntoIterator<Item = OfferedDataset>) -> Result<Self, DspError> {
        datasets
            .into_iter()
            .map(|offered| Ok((offered.id.clone(), dataset(offered)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The dataset `id`: the answer to `GET /catalog/datasets/:id`.
    pub fn dataset(&self, id: &WireId) -> Option<&Dataset> {
        self.0.get(id)
    }

    /// The page of the catalog `id` of `participant` that `token` names, else the first; of at most
    /// `page_size` datasets, and at most [`PAGE_SIZE_MAX`].
    pub fn page(
        &self,
        id: WireId,
        participant: WireId,
        filter: &Filter,
        token: Option<&PageToken>,
        page_size: usize,
    ) -> Page {
        let page_size = page_size.clamp(1, PAGE_SIZE_MAX);
        let datasets: Vec<&Dataset> = match token {
            None => self.after(None, filter).take(page_size).collect(),
            Some(PageToken::After(at)) => self.after(Some(at), filter).take(page_size).collect(),
            Some(PageToken::Before(at)) => {
                let mut found: Vec<_> = self.before(at, filter).take(page_size).collect();
                found.reverse();
                found
            }
        };
        let next = datasets
            .last()
            .filter(|last| self.after(Some(&last.id), filter).next().is_some())
            .map(|last| PageToken::After(last.id.clone()));
        let previous = datasets
            .first()
            .filter(|first| self.before(&first.id, filter).next().is_some())
            .map(|first| PageToken::Before(first.id.clone()));
        let content = CatalogNode {
            id,
            services: services(&datasets),
            datasets: datasets.into_iter().cloned().collect(),
            distributions: Vec::new(),
            catalogs: Vec::new(),
        };
        Page {
            catalog: Catalog {
                participant_id: participant,
                content,
            },
            next,
            previous,
        }
    }

    fn after<'a>(
        &'a self,
        at: Option<&WireId>,
        filter: &'a Filter,
    ) -> impl Iterator<Item = &'a Dataset> + use<'a> {
        let from = at.map_or(Bound::Unbounded, |at| Bound::Excluded(at.clone()));
        self.0
            .range((from, Bound::Unbounded))
            .map(|(_, dataset)| dataset)
            .filter(|dataset| filter.chooses(dataset))
    }

    fn before<'a>(
        &'a self,
        at: &WireId,
        filter: &'a Filter,
    ) -> impl Iterator<Item = &'a Dataset> + use<'a> {
        self.0
            .range((Bound::Unbounded, Bound::Excluded(at.clone())))
            .rev()
            .map(|(_, dataset)| dataset)
            .filter(|dataset| filter.chooses(dataset))
    }
}

/// The identifiers of what is needed to make one page out of `sorted`: the datasets on it, and one
/// neighbour at each end that says whether there are more pages. Making an [`Offerings`] of these alone
/// costs the same however long the catalog is.
pub fn around_page<'a, T>(
    sorted: &'a BTreeMap<&'a WireId, T>,
    token: Option<&PageToken>,
    page_size: usize,
    chosen: impl Fn(&WireId, &T) -> bool,
) -> Vec<&'a WireId> {
    let take = page_size.clamp(1, PAGE_SIZE_MAX).saturating_add(1);
    let good = |(id, dataset): &(&&'a WireId, &T)| chosen(id, dataset);
    let forward = |from: Bound<&WireId>, count: usize| {
        let range = sorted.range::<WireId, _>((from, Bound::Unbounded));
        range.filter(good).map(|(id, _)| *id).take(count)
    };
    let backward = |until: Bound<&WireId>, count: usize| {
        let range = sorted.range::<WireId, _>((Bound::Unbounded, until)).rev();
        range.filter(good).map(|(id, _)| *id).take(count)
    };
    match token {
        None => forward(Bound::Unbounded, take).collect(),
        Some(PageToken::After(at)) => backward(Bound::Included(at), 1)
            .chain(forward(Bound::Excluded(at), take))
            .collect(),
        Some(PageToken::Before(at)) => backward(Bound::Excluded(at), take)
            .chain(forward(Bound::Included(at), 1))
            .collect(),
    }
}

impl Filter {
    /// The filter of a request.
    ///
    /// # Errors
    /// [`DspError`] for a filter of another form or over [`FILTER_LENGTH_MAX`]: 400 by the binding.
    pub fn from_request(request: &CatalogRequestMessage) -> Result<Self, DspError> {
        if request.filter.len() > FILTER_LENGTH_MAX {
            let wanted = "at most 100 elements";
            return Err(DspError::new("/filter", Fault::Shape { wanted }));
        }
        let read = |(at, value): (usize, &Value)| match value.as_str() {
            Some(text) => Ok(text.to_owned()),
            None => {
                let wanted = "the identifier or the title of a dataset";
                let pointer = child("/filter", &at.to_string());
                Err(DspError::new(pointer, Fault::Shape { wanted }))
            }
        };
        let elements = request.filter.iter().enumerate().map(read);
        elements.collect::<Result<_, _>>().map(Self)
    }

    fn chooses(&self, dataset: &Dataset) -> bool {
        self.names(&dataset.id, dataset.title.as_deref().unwrap_or_default())
    }

    /// Whether it chooses the dataset with this identifier and title.
    pub fn names(&self, id: &WireId, title: &str) -> bool {
        self.0.is_empty() || self.0.contains(id.as_str()) || self.0.contains(title)
    }
}

impl PageToken {
    /// Reads the value of [`PAGE_PARAMETER`]; `None` for one that this version did not write.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_at_checked(1)?;
        let id = String::from_utf8(URL_SAFE_NO_PAD.decode(id).ok()?).ok()?;
        let id = WireId::parse(&id).ok()?;
        match kind {
            "a" => Some(Self::After(id)),
            "b" => Some(Self::Before(id)),
            _ => None,
        }
    }

    /// The page that the query of an address names, if it names one.
    ///
    /// # Errors
    /// [`DspError`] for a token that this version did not write.
    pub fn from_query(query: Option<&str>) -> Result<Option<Self>, DspError> {
        let mut pairs = query.unwrap_or_default().split('&');
        let token = pairs.find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            (name == PAGE_PARAMETER).then_some(value)
        });
        let Some(token) = token else {
            return Ok(None);
        };
        let wanted = "the address of a page as the `Link` header of another one named it";
        let page = Self::parse(token).ok_or_else(|| DspError::new("", Fault::Form { wanted }))?;
        Ok(Some(page))
    }

    /// The value of [`PAGE_PARAMETER`]; needs no further encoding.
    pub fn to_text(&self) -> String {
        let (kind, id) = match self {
            Self::After(id) => ('a', id),
            Self::Before(id) => ('b', id),
        };
        format!("{kind}{}", URL_SAFE_NO_PAD.encode(id.as_str()))
    }
}

impl Page {
    /// The value of the `Link` header (RFC 8288) of an answer of the connector at `base`; `None` for
    /// a catalog of one page.
    pub fn link(&self, base: &BaseUrl) -> Option<String> {
        let url = Route::Catalog.url(base);
        let link = |token: &PageToken, rel: &str| {
            format!(
                "<{url}?{PAGE_PARAMETER}={}>; rel=\"{rel}\"",
                token.to_text()
            )
        };
        let previous = self.previous.as_ref().map(|token| link(token, "previous"));
        let next = self.next.as_ref().map(|token| link(token, "next"));
        let links: Vec<String> = previous.into_iter().chain(next).collect();
        (!links.is_empty()).then(|| links.join(", "))
    }
}

fn dataset(offered: OfferedDataset) -> Result<Dataset, DspError> {
    let place = child("", offered.id.as_str());
    if offered.offers.is_empty() {
        return Err(DspError::new(child(&place, "hasPolicy"), Fault::Missing));
    }
    let offers = offered.offers.into_iter().map(|(id, mut policy)| {
        let place = child(&place, id.as_str());
        if let Some(members) = policy.as_object_mut() {
            members.insert("@id".into(), id.as_str().into());
            members.remove("target");
        }
        Offer::from_policy(&policy).map_err(|error| {
            let pointer = format!("{place}{}", error.pointer);
            DspError::new(pointer, error.fault)
        })
    });
    Ok(Dataset {
        id: offered.id,
        title: Some(offered.title),
        offers: offers.collect::<Result<_, _>>()?,
        distributions: offered
            .formats
            .into_iter()
            .map(|format| Distribution {
                format,
                access: AccessService::Described(offered.service.clone()),
                offers: Vec::new(),
            })
            .collect(),
    })
}

/// The services of the datasets, each once, in the order of their first use.
fn services(datasets: &[&Dataset]) -> Vec<DataService> {
    let mut seen = BTreeSet::new();
    let described = datasets
        .iter()
        .flat_map(|dataset| &dataset.distributions)
        .filter_map(|distribution| match &distribution.access {
            AccessService::Described(service) => Some(service),
            AccessService::Named(_) => None,
        });
    described
        .filter(|service| seen.insert(&service.id))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(text: &str) -> WireId {
        WireId::parse(text).unwrap()
    }

    fn offered(name: &str) -> OfferedDataset {
        OfferedDataset {
            id: id(name),
            title: format!("title of {name}"),
            formats: vec!["HttpData-PULL".into()],
            service: DataService {
                id: id("urn:service:1"),
                endpoint: BaseUrl::parse("https://sf.example/dsp").unwrap(),
            },
            offers: vec![(
                id(&format!("urn:offer:{name}")),
                json!({"permission": [{"action": "use"}], "target": name}),
            )],
        }
    }

    fn offerings(count: usize) -> Offerings {
        Offerings::new((0..count).map(|at| offered(&format!("d{at:05}")))).unwrap()
    }

    fn names(page: &Page) -> Vec<&str> {
        let datasets = page.catalog.content.datasets.iter();
        datasets.map(|dataset| dataset.id.as_str()).collect()
    }

    fn page(of: &Offerings, filter: &Filter, token: Option<&PageToken>, size: usize) -> Page {
        of.page(
            id("urn:catalog"),
            id("did:web:sf.example"),
            filter,
            token,
            size,
        )
    }

    fn filter(elements: Value) -> Result<Filter, DspError> {
        Filter::from_request(&CatalogRequestMessage {
            filter: elements.as_array().unwrap().clone(),
        })
    }

    #[test]
    fn a_page_is_what_the_schema_wants() {
        let page = page(&offerings(1), &Filter::default(), None, 10);
        let service = json!({
            "@id": "urn:service:1", "@type": "DataService", "endpointURL": "https://sf.example/dsp",
        });
        let expected = json!({
            "@context": [crate::dsp::CONTEXT],
            "@id": "urn:catalog",
            "@type": "Catalog",
            "participantId": "did:web:sf.example",
            "service": [service],
            "dataset": [{
                "@id": "d00000",
                "@type": "Dataset",
                "dct:title": "title of d00000",
                "hasPolicy": [{
                    "@id": "urn:offer:d00000", "@type": "Offer", "permission": [{"action": "use"}],
                }],
                "distribution": [{
                    "@type": "Distribution", "format": "HttpData-PULL", "accessService": service,
                }],
            }],
        });
        assert_eq!(page.catalog.to_json(), expected);
        assert_eq!(
            page.link(&BaseUrl::parse("https://sf.example/dsp").unwrap()),
            None
        );
    }

    #[test]
    fn an_empty_catalog_has_no_dataset_member() {
        let json = page(&Offerings::default(), &Filter::default(), None, 10)
            .catalog
            .to_json();
        assert!(json.get("dataset").is_none());
    }

    #[test]
    fn a_walk_sees_each_dataset_once_and_comes_back() {
        let all = offerings(25);
        let every = Filter::default();
        let mut forward = Vec::new();
        let mut current = page(&all, &every, None, 10);
        assert_eq!(current.previous, None);
        loop {
            forward.push(current.clone());
            let Some(token) = current.next.clone() else {
                break;
            };
            let token = PageToken::parse(&token.to_text()).unwrap();
            current = page(&all, &every, Some(&token), 10);
        }
        assert_eq!(
            forward
                .iter()
                .map(|page| names(page).len())
                .collect::<Vec<_>>(),
            [10, 10, 5]
        );
        let walked: Vec<&str> = forward.iter().flat_map(names).collect();
        assert!(walked.is_sorted() && walked.len() == 25);
        let back = page(&all, &every, current.previous.as_ref(), 10);
        assert_eq!(Some(&back), forward.get(1));
    }

    #[test]
    fn a_walk_survives_that_its_mark_is_withdrawn() {
        let mut all = offerings(4);
        let first = page(&all, &Filter::default(), None, 2);
        all.0.remove(&id("d00001"));
        let second = page(&all, &Filter::default(), first.next.as_ref(), 2);
        assert_eq!(names(&second), ["d00002", "d00003"]);
    }

    #[test]
    fn a_filter_chooses_by_identifier_or_title() {
        let all = offerings(5);
        let two = filter(json!(["d00003", "title of d00001"])).unwrap();
        let first = page(&all, &two, None, 1);
        assert_eq!(names(&first), ["d00001"]);
        let second = page(&all, &two, first.next.as_ref(), 1);
        assert_eq!(names(&second), ["d00003"]);
        assert_eq!(second.next, None);
        assert!(names(&page(&all, &filter(json!(["d"])).unwrap(), None, 9)).is_empty());
    }

    #[test]
    fn a_filter_of_another_form_is_refused() {
        let error = filter(json!(["x", {"operandLeft": "id"}])).unwrap_err();
        assert_eq!(error.pointer, "/filter/1");
        let long: Vec<String> = (0..=FILTER_LENGTH_MAX).map(|at| at.to_string()).collect();
        assert_eq!(filter(json!(long)).unwrap_err().pointer, "/filter");
    }

    #[test]
    fn a_token_that_is_none_is_refused() {
        for text in ["", "a", "c1234", "a!!!!", "ä", "aIA", "b////"] {
            assert_eq!(PageToken::parse(text), None, "{text}");
        }
    }

    #[test]
    fn links_name_both_neighbours() {
        let all = offerings(3);
        let middle = page(
            &all,
            &Filter::default(),
            Some(&PageToken::After(id("d00000"))),
            1,
        );
        let link = middle.link(&BaseUrl::parse("https://sf.example/dsp").unwrap());
        assert_eq!(
            link.unwrap(),
            "<https://sf.example/dsp/catalog/request?continuationToken=bZDAwMDAx>; \
             rel=\"previous\", \
             <https://sf.example/dsp/catalog/request?continuationToken=aZDAwMDAx>; rel=\"next\""
        );
    }

    #[test]
    fn a_bad_policy_is_named_by_dataset_and_offer() {
        let mut bad = offered("d");
        bad.offers[0].1 = json!({"permission": [{}]});
        let error = Offerings::new([bad]).unwrap_err();
        assert_eq!(error.pointer, "/d/urn:offer:d/permission/0/action");
        let mut none = offered("d");
        none.offers.clear();
        assert_eq!(Offerings::new([none]).unwrap_err().pointer, "/d/hasPolicy");
    }
}
