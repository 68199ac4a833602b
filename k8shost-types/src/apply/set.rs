//! Sets of fields.

use std::{cmp::Ordering, fmt, iter};

use super::element::Element;

/// A set of the fields of an object: a tree, in which each node is a step of a path and may be a
/// member itself, have members below it, or both. The object itself is no member of any set.
///
/// Nodes are sorted, so two sets are walked side by side; what is taken over is moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet<'a> {
    pub(super) nodes: Vec<Node<'a>>,
}

/// A step, whether the path that ends here is a member, and what is below. One of both is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node<'a> {
    pub(super) element: Element<'a>,
    pub(super) member: bool,
    pub(super) children: FieldSet<'a>,
}

impl Node<'_> {
    fn is_needed(&self) -> bool {
        self.member || !self.children.is_empty()
    }
}

impl<'a> FieldSet<'a> {
    /// The set without members.
    pub const fn new() -> Self {
        Self { nodes: Vec::new() }
    }

    /// The set of these paths of field names.
    pub fn of_names(paths: &[&[&'a str]]) -> Self {
        let mut set = Self::new();
        for path in paths {
            set.insert(path.iter().copied().map(Element::field));
        }
        set
    }

    /// Adds the field at a path; the empty path is not added.
    pub fn insert(&mut self, path: impl IntoIterator<Item = Element<'a>>) {
        let mut path = path.into_iter();
        let Some(element) = path.next() else { return };
        let node = self.node(element);
        let mut node = node;
        for element in path {
            node = node.children.node(element);
        }
        node.member = true;
    }

    /// The node of this step, made where there is none.
    fn node(&mut self, element: Element<'a>) -> &mut Node<'a> {
        let at = match self.search(&element) {
            Ok(at) => at,
            Err(at) => {
                let node = Node {
                    element,
                    member: false,
                    children: Self::new(),
                };
                self.nodes.insert(at, node);
                at
            }
        };
        &mut self.nodes[at]
    }

    /// Adds a step and all below it; nothing where that is nothing.
    pub(super) fn add(&mut self, element: &Element<'a>, member: bool, children: Self) {
        if member || !children.is_empty() {
            self.put(Node {
                element: element.clone(),
                member,
                children,
            });
        }
    }

    /// Adds a node, to the one of the same step where there is one. Mostly they come in their order.
    pub(super) fn put(&mut self, new: Node<'a>) {
        match self.nodes.last() {
            Some(last) if last.element >= new.element => {
                let node = self.node(new.element);
                node.member |= new.member;
                let below = std::mem::take(&mut node.children);
                node.children = below.union(new.children);
            }
            _ => self.nodes.push(new),
        }
    }

    fn search(&self, element: &Element<'_>) -> Result<usize, usize> {
        match self.nodes.last() {
            Some(last) if last.element < *element => Err(self.nodes.len()),
            _ => self
                .nodes
                .binary_search_by(|node| node.element.cmp(element)),
        }
    }

    pub(super) fn get(&self, element: &Element<'_>) -> Option<&Node<'a>> {
        self.search(element).ok().map(|at| &self.nodes[at])
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        let below = |node: &Node<'_>| usize::from(node.member) + node.children.len();
        self.nodes.iter().map(below).sum()
    }

    /// Whether the field at this path is a member.
    pub fn contains(&self, path: &[Element<'_>]) -> bool {
        match path {
            [] => false,
            [element] => self.get(element).is_some_and(|node| node.member),
            [element, rest @ ..] => self
                .get(element)
                .is_some_and(|node| node.children.contains(rest)),
        }
    }

    /// The members of either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let mut nodes = Vec::with_capacity(self.nodes.len().max(other.nodes.len()));
        let (mut left, mut right) = (
            self.nodes.into_iter().peekable(),
            other.nodes.into_iter().peekable(),
        );
        loop {
            let order = match (left.peek(), right.peek()) {
                (None, None) => return Self { nodes },
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.element.cmp(&b.element),
            };
            let (a, b) = match order {
                Ordering::Less => (left.next(), None),
                Ordering::Greater => (None, right.next()),
                Ordering::Equal => (left.next(), right.next()),
            };
            nodes.extend(match (a, b) {
                (Some(a), Some(b)) => Some(Node {
                    element: a.element,
                    member: a.member || b.member,
                    children: a.children.union(b.children),
                }),
                (a, b) => a.or(b),
            });
        }
    }

    /// The members of both.
    #[must_use]
    pub fn intersection(&self, other: &FieldSet<'_>) -> Self {
        let both = self.pairs(other).filter_map(|(a, b)| {
            let b = b?;
            let node = Node {
                member: a.member && b.member,
                children: a.children.intersection(&b.children),
                element: a.element.clone(),
            };
            node.is_needed().then_some(node)
        });
        Self {
            nodes: both.collect(),
        }
    }

    /// Whether there is a member of both.
    pub fn intersects(&self, other: &FieldSet<'_>) -> bool {
        self.pairs(other).any(|(a, b)| {
            b.is_some_and(|b| a.member && b.member || a.children.intersects(&b.children))
        })
    }

    /// Whether all members are the other's too.
    pub fn is_subset(&self, other: &FieldSet<'_>) -> bool {
        self.pairs(other).all(|(a, b)| {
            b.is_some_and(|b| (!a.member || b.member) && a.children.is_subset(&b.children))
        })
    }

    /// Each node of this set, and the other's of the same step.
    fn pairs<'b, 'c>(
        &'b self,
        other: &'b FieldSet<'c>,
    ) -> impl Iterator<Item = (&'b Node<'a>, Option<&'b Node<'c>>)> {
        let mut right = other.nodes.iter().peekable();
        self.nodes.iter().map(move |node| {
            while right.next_if(|b| b.element < node.element).is_some() {}
            (node, right.next_if(|b| b.element == node.element))
        })
    }

    /// The members that are not the other's.
    #[must_use]
    pub fn difference(self, other: &FieldSet<'_>) -> Self {
        self.without(other, false)
    }

    /// The same, with all that is below a member of the other gone too.
    #[must_use]
    pub fn recursive_difference(self, other: &FieldSet<'_>) -> Self {
        self.without(other, true)
    }

    fn without(mut self, other: &FieldSet<'_>, recursive: bool) -> Self {
        let mut right = other.nodes.iter().peekable();
        self.nodes.retain_mut(|node| {
            while right.next_if(|b| b.element < node.element).is_some() {}
            let Some(b) = right.next_if(|b| b.element == node.element) else {
                return true;
            };
            if b.member && recursive {
                return false;
            }
            node.member &= !b.member;
            let children = std::mem::take(&mut node.children);
            node.children = children.without(&b.children, recursive);
            node.is_needed()
        });
        self
    }

    /// The members that have none below them.
    #[must_use]
    pub fn leaves(self) -> Self {
        let nodes = self.nodes.into_iter().map(|node| Node {
            member: node.member && node.children.is_empty(),
            children: node.children.leaves(),
            element: node.element,
        });
        Self {
            nodes: nodes.collect(),
        }
    }

    /// The paths of all members: those of one level before those below it, as Kubernetes lists them.
    pub fn paths(&self) -> Vec<FieldPath<'a>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    fn collect(&self, above: &mut Vec<Element<'a>>, paths: &mut Vec<FieldPath<'a>>) {
        for node in self.nodes.iter().filter(|node| node.member) {
            let path = above.iter().chain(iter::once(&node.element));
            paths.push(FieldPath(path.cloned().collect()));
        }
        for node in self.nodes.iter().filter(|node| !node.children.is_empty()) {
            above.push(node.element.clone());
            node.children.collect(above, paths);
            above.pop();
        }
    }

    /// The same set, with nothing borrowed.
    pub fn into_owned(self) -> FieldSet<'static> {
        let nodes = self.nodes.into_iter().map(|node| Node {
            element: node.element.into_owned(),
            member: node.member,
            children: node.children.into_owned(),
        });
        FieldSet {
            nodes: nodes.collect(),
        }
    }
}

/// The path of a field; shown as Kubernetes shows it: `.spec.containers[name="c"].image`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath<'a>(pub Vec<Element<'a>>);

impl fmt::Display for FieldPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|element| element.fmt(f))
    }
}
