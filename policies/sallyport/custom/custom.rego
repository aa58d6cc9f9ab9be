# METADATA
# scope: package
# title: Denials of your own
# description: |
#   Put files with this package beside this one (or in a folder of your own) and build them together with
#   `sallyport policy build`. What sallyport.yaml allows is the most that is ever allowed: rules here can only deny.
# schemas:
#   - input: schema.input
#   - data.configuration: schema.configuration
package sallyport.custom

# METADATA
# title: Deny
# description: |
#   Reasons of the closed list in docs/errors.md; any other value counts as "policy-denied". Rules may read input,
#   data.custom (the file named by `policy.data` in sallyport.yaml) and data.sallyport.gate.grant (the obligations under
#   which the message would be allowed).
deny contains "policy-denied" if false
