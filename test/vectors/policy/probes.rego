# METADATA
# description: Calls one built-in with arguments of the input, so that a compiled policy can be compared with `opa eval`.
package probes

# METADATA
# entrypoint: true
answer := call(input.id, input.f, input.args)

# METADATA
# description: |
#   All answers at once, for `opa eval`; an undefined one is missing. The id keeps OPA from taking the answer to one probe
#   for that to another with equal arguments, such as 1 and 1.0.
results[index] := call(probe.id, probe.f, probe.args) if some index, probe in input.probes

set_of(list) := {item | some item in list}

call(_, "abs", a) := abs(a[0])

call(_, "round", a) := round(a[0])

call(_, "ceil", a) := ceil(a[0])

call(_, "floor", a) := floor(a[0])

call(_, "plus", a) := a[0] + a[1]

call(_, "minus", a) := a[0] - a[1]

call(_, "minus sets", a) := set_of(a[0]) - set_of(a[1])

call(_, "multiply", a) := a[0] * a[1]

call(_, "divide", a) := a[0] / a[1]

call(_, "remainder", a) := a[0] % a[1]

call(_, "lt", a) := a[0] < a[1]

call(_, "lte", a) := a[0] <= a[1]

call(_, "eq", a) := a[0] == a[1]

call(_, "and sets", a) := set_of(a[0]) & set_of(a[1])

call(_, "or sets", a) := set_of(a[0]) | set_of(a[1])

call(_, "set", a) := set_of(a[0])

call(_, "bits.and", a) := bits.and(a[0], a[1])

call(_, "bits.or", a) := bits.or(a[0], a[1])

call(_, "bits.xor", a) := bits.xor(a[0], a[1])

call(_, "bits.negate", a) := bits.negate(a[0])

call(_, "bits.lsh", a) := bits.lsh(a[0], a[1])

call(_, "bits.rsh", a) := bits.rsh(a[0], a[1])

call(_, "count", a) := count(a[0])

call(_, "sum", a) := sum(a[0])

call(_, "sum set", a) := sum(set_of(a[0]))

call(_, "product", a) := product(a[0])

call(_, "max", a) := max(a[0])

call(_, "min", a) := min(a[0])

call(_, "sort", a) := sort(a[0])

call(_, "sort set", a) := sort(set_of(a[0]))

call(_, "array.concat", a) := array.concat(a[0], a[1])

call(_, "array.flatten", a) := array.flatten(a[0])

call(_, "array.reverse", a) := array.reverse(a[0])

call(_, "array.slice", a) := array.slice(a[0], a[1], a[2])

call(_, "is_number", a) := is_number(a[0])

call(_, "is_string", a) := is_string(a[0])

call(_, "is_boolean", a) := is_boolean(a[0])

call(_, "is_array", a) := is_array(a[0])

call(_, "is_object", a) := is_object(a[0])

call(_, "is_null", a) := is_null(a[0])

call(_, "type_name", a) := type_name(a[0])

call(_, "to_number", a) := to_number(a[0])

call(_, "numbers.range", a) := numbers.range(a[0], a[1])

call(_, "numbers.range_step", a) := numbers.range_step(a[0], a[1], a[2])

call(_, "base64.encode", a) := base64.encode(a[0])

call(_, "base64.decode", a) := base64.decode(a[0])

call(_, "base64.is_valid", a) := base64.is_valid(a[0])

call(_, "base64url.encode", a) := base64url.encode(a[0])

call(_, "base64url.encode_no_pad", a) := base64url.encode_no_pad(a[0])

call(_, "base64url.decode", a) := base64url.decode(a[0])

call(_, "concat", a) := concat(a[0], a[1])

call(_, "concat set", a) := concat(a[0], set_of(a[1]))

call(_, "contains", a) := contains(a[0], a[1])

call(_, "startswith", a) := startswith(a[0], a[1])

call(_, "endswith", a) := endswith(a[0], a[1])

call(_, "format_int", a) := format_int(a[0], a[1])

call(_, "indexof", a) := indexof(a[0], a[1])

call(_, "indexof_n", a) := indexof_n(a[0], a[1])

call(_, "lower", a) := lower(a[0])

call(_, "upper", a) := upper(a[0])

call(_, "replace", a) := replace(a[0], a[1], a[2])

call(_, "strings.replace_n", a) := strings.replace_n(a[0], a[1])

call(_, "strings.reverse", a) := strings.reverse(a[0])

call(_, "strings.count", a) := strings.count(a[0], a[1])

call(_, "strings.any_prefix_match", a) := strings.any_prefix_match(a[0], a[1])

call(_, "strings.any_suffix_match", a) := strings.any_suffix_match(a[0], a[1])

call(_, "strings.any_prefix_match set", a) := strings.any_prefix_match(set_of(a[0]), set_of(a[1]))

call(_, "split", a) := split(a[0], a[1])

call(_, "substring", a) := substring(a[0], a[1], a[2])

call(_, "trim", a) := trim(a[0], a[1])

call(_, "trim_left", a) := trim_left(a[0], a[1])

call(_, "trim_right", a) := trim_right(a[0], a[1])

call(_, "trim_prefix", a) := trim_prefix(a[0], a[1])

call(_, "trim_suffix", a) := trim_suffix(a[0], a[1])

call(_, "trim_space", a) := trim_space(a[0])

call(_, "sprintf", a) := sprintf(a[0], a[1])

call(_, "sprintf set", a) := sprintf(a[0], [set_of(a[1])])

call(_, "template", a) := $"<{a[0]}|{a[1]}>"

call(_, "net.cidr_contains", a) := net.cidr_contains(a[0], a[1])

call(_, "net.cidr_contains_matches", a) := net.cidr_contains_matches(a[0], a[1])

call(_, "net.cidr_intersects", a) := net.cidr_intersects(a[0], a[1])

call(_, "net.cidr_is_valid", a) := net.cidr_is_valid(a[0])

call(_, "glob.match", a) := glob.match(a[0], a[1], a[2])

call(_, "json.marshal", a) := json.marshal(a[0])

call(_, "json.marshal set", a) := json.marshal(set_of(a[0]))

call(_, "json.unmarshal", a) := json.unmarshal(a[0])

call(_, "json.is_valid", a) := json.is_valid(a[0])

call(_, "json.filter", a) := json.filter(a[0], a[1])

call(_, "json.remove", a) := json.remove(a[0], a[1])

call(_, "object.filter", a) := object.filter(a[0], a[1])

call(_, "object.get", a) := object.get(a[0], a[1], a[2])

call(_, "object.keys", a) := object.keys(a[0])

call(_, "object.remove", a) := object.remove(a[0], a[1])

call(_, "object.union", a) := object.union(a[0], a[1])

call(_, "object.union_n", a) := object.union_n(a[0])

call(_, "object.subset", a) := object.subset(a[0], a[1])

call(_, "object.subset set", a) := object.subset(a[0], set_of(a[1]))

call(_, "walk", a) := {[path, value] | walk(a[0], [path, value])}

call(_, "graph.reachable", a) := graph.reachable(a[0], a[1])

call(_, "regex.is_valid", a) := regex.is_valid(a[0])

call(_, "regex.match", a) := regex.match(a[0], a[1])

call(_, "regex.find_all_string_submatch_n", a) := regex.find_all_string_submatch_n(a[0], a[1], a[2])

call(_, "regex.find_n", a) := regex.find_n(a[0], a[1], a[2])

call(_, "regex.replace", a) := regex.replace(a[0], a[1], a[2])

call(_, "regex.split", a) := regex.split(a[0], a[1])

call(_, "in", a) := a[0] in a[1]

call(_, "in key", a) := (a[0], a[1] in a[2])

call(_, "get", a) := a[0][a[1]]

call(_, "member of set", a) if set_of(a[0])[a[1]]

call(_, "key of object", a) := {key: true | some key in a[0]}[a[1]]

call(_, "intersection", a) := intersection({set_of(list) | some list in a[0]})

call(_, "union", a) := union({set_of(list) | some list in a[0]})

call(_, "crypto.sha256", a) := crypto.sha256(a[0])

call(_, "crypto.hmac.sha256", a) := crypto.hmac.sha256(a[0], a[1])

call(_, "crypto.hmac.equal", a) := crypto.hmac.equal(a[0], a[1])

call(_, "hex.encode", a) := hex.encode(a[0])

call(_, "hex.decode", a) := hex.decode(a[0])

call(_, "semver.compare", a) := semver.compare(a[0], a[1])

call(_, "semver.is_valid", a) := semver.is_valid(a[0])

call(_, "units.parse_bytes", a) := units.parse_bytes(a[0])

call(_, "time.parse_rfc3339_ns", a) := time.parse_rfc3339_ns(a[0])

call(_, "time.clock", a) := time.clock(a[0])

call(_, "time.date", a) := time.date(a[0])

call(_, "time.weekday", a) := time.weekday(a[0])

call(_, "time.add_date", a) := time.add_date(a[0], a[1], a[2], a[3])
