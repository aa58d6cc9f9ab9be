# Ways for a policy to misbehave, by path; /ok is permitted. Compiled to policy.wasm beside this file:
#   opa build -t wasm -e sallyport/gate/verdict misbehaving.rego
package sallyport.gate

verdict := {"v": input.v, "allow": true, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged"}} if input.action.resource == "/ok"

verdict := {"v": input.v, "allow": false, "reasons": ["policy-denied"], "obligations": {}} if {
	not startswith(input.action.resource, "/fail/")
	input.action.resource != "/ok"
}

# allow is text
verdict := {"v": input.v, "allow": "true", "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged"}} if input.action.resource == "/fail/01"

# allow is one
verdict := {"v": input.v, "allow": 1, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged"}} if input.action.resource == "/fail/02"

# allow is null
verdict := {"v": input.v, "allow": null, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged"}} if input.action.resource == "/fail/03"

# allow is a list
verdict := {"v": input.v, "allow": [true], "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged"}} if input.action.resource == "/fail/04"

# no allow
verdict := {"v": input.v, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged"}} if input.action.resource == "/fail/05"

# a bare true
verdict if input.action.resource == "/fail/06"

# a list
verdict := [] if input.action.resource == "/fail/07"

# a text
verdict := "allow" if input.action.resource == "/fail/08"

# a number
verdict := 1 if input.action.resource == "/fail/09"

# null
verdict := null if input.action.resource == "/fail/10"

# the sentinel of another
verdict := {"v": input.v + 1, "allow": true, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged"}} if input.action.resource == "/fail/11"

# no sentinel
verdict := {"allow": true, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged"}} if input.action.resource == "/fail/12"

# the sentinel as text
verdict := {"v": sprintf("%d", [input.v]), "allow": true, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged"}} if input.action.resource == "/fail/13"

# allowed with reasons
verdict := {"v": input.v, "allow": true, "reasons": ["no-route"], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged"}} if input.action.resource == "/fail/14"

# reasons as text
verdict := {"v": input.v, "allow": true, "reasons": "", "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged"}} if input.action.resource == "/fail/15"

# a reason nobody knows
verdict := {"v": input.v, "allow": false, "reasons": ["because"], "obligations": {}} if input.action.resource == "/fail/16"

# an obligation nobody knows
verdict := {"v": input.v, "allow": true, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged", "mirror": "elsewhere"}} if input.action.resource == "/fail/17"

# no obligations
verdict := {"v": input.v, "allow": true, "reasons": []} if input.action.resource == "/fail/18"

# obligations as a list
verdict := {"v": input.v, "allow": true, "reasons": [], "obligations": []} if input.action.resource == "/fail/19"

# no upstream
verdict := {"v": input.v, "allow": true, "reasons": [], "obligations": {"route": "sensors/ok", "privacy": "unchanged"}} if input.action.resource == "/fail/20"

# an upstream nobody configured
verdict := {"v": input.v, "allow": true, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "evil", "privacy": "unchanged"}} if input.action.resource == "/fail/21"

# an upstream as a number
verdict := {"v": input.v, "allow": true, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": 7, "privacy": "unchanged"}} if input.action.resource == "/fail/22"

# a privacy rule nobody configured
verdict := {"v": input.v, "allow": true, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "nothing"}} if input.action.resource == "/fail/23"

# stream as text
verdict := {"v": input.v, "allow": true, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged", "stream": "yes"}} if input.action.resource == "/fail/24"

# a negative rate
verdict := {"v": input.v, "allow": true, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged", "rate": {"bucket": "b", "per_second": -1, "burst": 1}}} if input.action.resource == "/fail/25"

# a rate without a burst
verdict := {"v": input.v, "allow": true, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged", "rate": {"bucket": "b", "per_second": 1}}} if input.action.resource == "/fail/26"

# an endless rate
verdict := {"v": input.v, "allow": true, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged", "rate": {"bucket": "b", "per_second": 1e300, "burst": 1}}} if input.action.resource == "/fail/27"

# a key too many
verdict := {"v": input.v, "allow": true, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged"}, "extra": 1} if input.action.resource == "/fail/28"

# more memory than there is
verdict := {"v": input.v, "allow": count(numbers.range(1, 40000000)) > 0, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged"}} if input.action.resource == "/fail/29"

# an answer without end
verdict := {"v": input.v, "allow": true, "reasons": numbers.range(1, 20000), "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged"}} if input.action.resource == "/fail/30"

# a division by zero
verdict := {"v": input.v, "allow": (1 / (input.action.bytes - input.action.bytes)) == 0, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged"}} if input.action.resource == "/fail/31"

# two verdicts at once
verdict := {"v": input.v, "allow": true, "reasons": [], "obligations": {"route": "sensors/ok", "upstream": "cloud", "privacy": "unchanged"}} if input.action.resource == "/fail/32"

verdict := {"v": input.v, "allow": false, "reasons": ["no-route"], "obligations": {}} if input.action.resource == "/fail/32"
