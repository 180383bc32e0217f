"""YAML text as a tree of mappings, lists and scalars, where a scalar is the text that was written."""

import re

import yaml

from fastrelay.errors import ConfigError

Tree = str | None | list["Tree"] | dict[str, "Tree"]

# The deepest path there is, relays[0].source_urls[0], is 4 deep; an alias that contains itself has no end.
MAX_DEPTH = 10
_TOO_DEEP = f"expected at most {MAX_DEPTH} levels, this nests deeper or contains itself"

_Loader: type[yaml.CSafeLoader] | type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = "tag:yaml.org,2002:null"
# A secret that was not put in quotes may be taken for an alias or a tag: what YAML says then would repeat it.
_QUOTED_NAME = re.compile(r"""\s*['"][^'"]{2,}['"].*""", re.DOTALL)


def parse_yaml(text: str) -> Tree:
    """The tree of one document; None for an empty one.

    Raises ConfigError with line and column for what is not YAML, with the key path for a key that is there twice.
    """
    try:
        _check_depth(text)
        root = yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        raise ConfigError("", _syntax(error)) from None
    except (yaml.YAMLError, ValueError):
        raise ConfigError("", "expected YAML, got a character that YAML does not allow") from None
    return None if root is None else _tree(root, "", 0)


def _check_depth(text: str) -> None:
    """Before `compose`, which calls itself for each level and crashes the process when there are very many."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise ConfigError("", _TOO_DEEP)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def child(path: str, key: str) -> str:
    """The path of a key below `path`."""
    return f"{path}.{key}" if path else key


def _syntax(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    problem = _QUOTED_NAME.sub("", error.problem or error.context or "not understood")
    return f"{where}expected YAML: {problem}"


def _tree(node: yaml.Node, path: str, depth: int) -> Tree:
    if depth > MAX_DEPTH:
        raise ConfigError(path, _TOO_DEEP)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, depth)
    if isinstance(node, yaml.SequenceNode):
        return [_tree(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    return None if node.tag == _NULL else str(node.value)


def _mapping(node: yaml.MappingNode, path: str, depth: int) -> Tree:
    tree: dict[str, Tree] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(path, f"line {key_node.start_mark.line + 1}: expected a plain word as key")
        key = str(key_node.value)
        if key in tree:
            raise ConfigError(
                child(path, key), f"is there twice, the second time in line {key_node.start_mark.line + 1}"
            )
        tree[key] = _tree(value_node, child(path, key), depth + 1)
    return tree
