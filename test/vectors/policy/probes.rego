# METADATA
# description: Calls one built-in with arguments of the input, so that a compiled policy can be compared with `opa eval`.
package probes

# METADATA
# entrypoint: true
answer := call(input)

# METADATA
# description: |
#   All answers at once, for `opa eval`; an undefined one is missing. The id keeps OPA from taking the answer to one probe
#   for that to another with equal arguments, such as 1 and 1.0.
results[index] := call(probe) if some index, probe in input.probes

set_of(list) := {item | some item in list}

call({"id": _, "f": "abs", "args": a}) := abs(a[0])

call({"id": _, "f": "round", "args": a}) := round(a[0])

call({"id": _, "f": "ceil", "args": a}) := ceil(a[0])

call({"id": _, "f": "floor", "args": a}) := floor(a[0])

call({"id": _, "f": "plus", "args": a}) := a[0] + a[1]

call({"id": _, "f": "minus", "args": a}) := a[0] - a[1]

call({"id": _, "f": "minus sets", "args": a}) := set_of(a[0]) - set_of(a[1])

call({"id": _, "f": "multiply", "args": a}) := a[0] * a[1]

call({"id": _, "f": "divide", "args": a}) := a[0] / a[1]

call({"id": _, "f": "remainder", "args": a}) := a[0] % a[1]

call({"id": _, "f": "lt", "args": a}) := a[0] < a[1]

call({"id": _, "f": "lte", "args": a}) := a[0] <= a[1]

call({"id": _, "f": "eq", "args": a}) := a[0] == a[1]

call({"id": _, "f": "and sets", "args": a}) := set_of(a[0]) & set_of(a[1])

call({"id": _, "f": "or sets", "args": a}) := set_of(a[0]) | set_of(a[1])

call({"id": _, "f": "set", "args": a}) := set_of(a[0])

call({"id": _, "f": "bits.and", "args": a}) := bits.and(a[0], a[1])

call({"id": _, "f": "bits.or", "args": a}) := bits.or(a[0], a[1])

call({"id": _, "f": "bits.xor", "args": a}) := bits.xor(a[0], a[1])

call({"id": _, "f": "bits.negate", "args": a}) := bits.negate(a[0])

call({"id": _, "f": "bits.lsh", "args": a}) := bits.lsh(a[0], a[1])

call({"id": _, "f": "bits.rsh", "args": a}) := bits.rsh(a[0], a[1])

call({"id": _, "f": "count", "args": a}) := count(a[0])

call({"id": _, "f": "sum", "args": a}) := sum(a[0])

call({"id": _, "f": "sum set", "args": a}) := sum(set_of(a[0]))

call({"id": _, "f": "product", "args": a}) := product(a[0])

call({"id": _, "f": "max", "args": a}) := max(a[0])

call({"id": _, "f": "min", "args": a}) := min(a[0])

call({"id": _, "f": "sort", "args": a}) := sort(a[0])

call({"id": _, "f": "sort set", "args": a}) := sort(set_of(a[0]))

call({"id": _, "f": "array.concat", "args": a}) := array.concat(a[0], a[1])

call({"id": _, "f": "array.flatten", "args": a}) := array.flatten(a[0])

call({"id": _, "f": "array.reverse", "args": a}) := array.reverse(a[0])

call({"id": _, "f": "array.slice", "args": a}) := array.slice(a[0], a[1], a[2])

call({"id": _, "f": "is_number", "args": a}) := is_number(a[0])

call({"id": _, "f": "is_string", "args": a}) := is_string(a[0])

call({"id": _, "f": "is_boolean", "args": a}) := is_boolean(a[0])

call({"id": _, "f": "is_array", "args": a}) := is_array(a[0])

call({"id": _, "f": "is_object", "args": a}) := is_object(a[0])

call({"id": _, "f": "is_null", "args": a}) := is_null(a[0])

call({"id": _, "f": "type_name", "args": a}) := type_name(a[0])

call({"id": _, "f": "to_number", "args": a}) := to_number(a[0])

call({"id": _, "f": "numbers.range", "args": a}) := numbers.range(a[0], a[1])

call({"id": _, "f": "numbers.range_step", "args": a}) := numbers.range_step(a[0], a[1], a[2])

call({"id": _, "f": "base64.encode", "args": a}) := base64.encode(a[0])

call({"id": _, "f": "base64.decode", "args": a}) := base64.decode(a[0])

call({"id": _, "f": "base64.is_valid", "args": a}) := base64.is_valid(a[0])

call({"id": _, "f": "base64url.encode", "args": a}) := base64url.encode(a[0])

call({"id": _, "f": "base64url.encode_no_pad", "args": a}) := base64url.encode_no_pad(a[0])

call({"id": _, "f": "base64url.decode", "args": a}) := base64url.decode(a[0])

call({"id": _, "f": "concat", "args": a}) := concat(a[0], a[1])

call({"id": _, "f": "concat set", "args": a}) := concat(a[0], set_of(a[1]))

call({"id": _, "f": "contains", "args": a}) := contains(a[0], a[1])

call({"id": _, "f": "startswith", "args": a}) := startswith(a[0], a[1])

call({"id": _, "f": "endswith", "args": a}) := endswith(a[0], a[1])

call({"id": _, "f": "format_int", "args": a}) := format_int(a[0], a[1])

call({"id": _, "f": "indexof", "args": a}) := indexof(a[0], a[1])

call({"id": _, "f": "indexof_n", "args": a}) := indexof_n(a[0], a[1])

call({"id": _, "f": "lower", "args": a}) := lower(a[0])

call({"id": _, "f": "upper", "args": a}) := upper(a[0])

call({"id": _, "f": "replace", "args": a}) := replace(a[0], a[1], a[2])

call({"id": _, "f": "strings.replace_n", "args": a}) := strings.replace_n(a[0], a[1])

call({"id": _, "f": "strings.reverse", "args": a}) := strings.reverse(a[0])

call({"id": _, "f": "strings.count", "args": a}) := strings.count(a[0], a[1])

call({"id": _, "f": "strings.any_prefix_match", "args": a}) := strings.any_prefix_match(a[0], a[1])

call({"id": _, "f": "strings.any_suffix_match", "args": a}) := strings.any_suffix_match(a[0], a[1])

call({"id": _, "f": "strings.any_prefix_match set", "args": a}) := strings.any_prefix_match(set_of(a[0]), set_of(a[1]))

call({"id": _, "f": "split", "args": a}) := split(a[0], a[1])

call({"id": _, "f": "substring", "args": a}) := substring(a[0], a[1], a[2])

call({"id": _, "f": "trim", "args": a}) := trim(a[0], a[1])

call({"id": _, "f": "trim_left", "args": a}) := trim_left(a[0], a[1])

call({"id": _, "f": "trim_right", "args": a}) := trim_right(a[0], a[1])

call({"id": _, "f": "trim_prefix", "args": a}) := trim_prefix(a[0], a[1])

call({"id": _, "f": "trim_suffix", "args": a}) := trim_suffix(a[0], a[1])

call({"id": _, "f": "trim_space", "args": a}) := trim_space(a[0])

call({"id": _, "f": "sprintf", "args": a}) := sprintf(a[0], a[1])

call({"id": _, "f": "sprintf set", "args": a}) := sprintf(a[0], [set_of(a[1])])

call({"id": _, "f": "template", "args": a}) := $"<{a[0]}|{a[1]}>"

call({"id": _, "f": "net.cidr_contains", "args": a}) := net.cidr_contains(a[0], a[1])

call({"id": _, "f": "net.cidr_contains_matches", "args": a}) := net.cidr_contains_matches(a[0], a[1])

call({"id": _, "f": "net.cidr_intersects", "args": a}) := net.cidr_intersects(a[0], a[1])

call({"id": _, "f": "net.cidr_is_valid", "args": a}) := net.cidr_is_valid(a[0])

call({"id": _, "f": "glob.match", "args": a}) := glob.match(a[0], a[1], a[2])

call({"id": _, "f": "json.marshal", "args": a}) := json.marshal(a[0])

call({"id": _, "f": "json.marshal set", "args": a}) := json.marshal(set_of(a[0]))

call({"id": _, "f": "json.unmarshal", "args": a}) := json.unmarshal(a[0])

call({"id": _, "f": "json.is_valid", "args": a}) := json.is_valid(a[0])

call({"id": _, "f": "json.filter", "args": a}) := json.filter(a[0], a[1])

call({"id": _, "f": "json.remove", "args": a}) := json.remove(a[0], a[1])

call({"id": _, "f": "object.filter", "args": a}) := object.filter(a[0], a[1])

call({"id": _, "f": "object.get", "args": a}) := object.get(a[0], a[1], a[2])

call({"id": _, "f": "object.keys", "args": a}) := object.keys(a[0])

call({"id": _, "f": "object.remove", "args": a}) := object.remove(a[0], a[1])

call({"id": _, "f": "object.union", "args": a}) := object.union(a[0], a[1])

call({"id": _, "f": "object.union_n", "args": a}) := object.union_n(a[0])

call({"id": _, "f": "object.subset", "args": a}) := object.subset(a[0], a[1])

call({"id": _, "f": "object.subset set", "args": a}) := object.subset(a[0], set_of(a[1]))

call({"id": _, "f": "walk", "args": a}) := {[path, value] | walk(a[0], [path, value])}

call({"id": _, "f": "graph.reachable", "args": a}) := graph.reachable(a[0], a[1])

call({"id": _, "f": "regex.is_valid", "args": a}) := regex.is_valid(a[0])

call({"id": _, "f": "regex.match", "args": a}) := regex.match(a[0], a[1])

call({"id": _, "f": "regex.find_all_string_submatch_n", "args": a}) := regex.find_all_string_submatch_n(a[0], a[1], a[2])

call({"id": _, "f": "regex.find_n", "args": a}) := regex.find_n(a[0], a[1], a[2])

call({"id": _, "f": "regex.replace", "args": a}) := regex.replace(a[0], a[1], a[2])

call({"id": _, "f": "regex.split", "args": a}) := regex.split(a[0], a[1])

call({"id": _, "f": "in", "args": a}) := a[0] in a[1]

call({"id": _, "f": "in key", "args": a}) := (a[0], a[1] in a[2])

call({"id": _, "f": "get", "args": a}) := a[0][a[1]]

call({"id": _, "f": "intersection", "args": a}) := intersection({set_of(list) | some list in a[0]})

call({"id": _, "f": "union", "args": a}) := union({set_of(list) | some list in a[0]})

call({"id": _, "f": "crypto.sha256", "args": a}) := crypto.sha256(a[0])

call({"id": _, "f": "crypto.hmac.sha256", "args": a}) := crypto.hmac.sha256(a[0], a[1])

call({"id": _, "f": "crypto.hmac.equal", "args": a}) := crypto.hmac.equal(a[0], a[1])

call({"id": _, "f": "hex.encode", "args": a}) := hex.encode(a[0])

call({"id": _, "f": "hex.decode", "args": a}) := hex.decode(a[0])

call({"id": _, "f": "semver.compare", "args": a}) := semver.compare(a[0], a[1])

call({"id": _, "f": "semver.is_valid", "args": a}) := semver.is_valid(a[0])

call({"id": _, "f": "units.parse_bytes", "args": a}) := units.parse_bytes(a[0])

call({"id": _, "f": "time.parse_rfc3339_ns", "args": a}) := time.parse_rfc3339_ns(a[0])

call({"id": _, "f": "time.clock", "args": a}) := time.clock(a[0])

call({"id": _, "f": "time.date", "args": a}) := time.date(a[0])

call({"id": _, "f": "time.weekday", "args": a}) := time.weekday(a[0])

call({"id": _, "f": "time.add_date", "args": a}) := time.add_date(a[0], a[1], a[2], a[3])
