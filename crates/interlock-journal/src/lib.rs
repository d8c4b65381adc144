//! Journal and bilateral logs.
