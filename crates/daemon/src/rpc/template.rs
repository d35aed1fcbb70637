//! Bodies of `template.…`: the provider's templates, and whether parameters fit them.
