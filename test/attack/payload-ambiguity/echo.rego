# METADATA
# description: Answers the payload as the module itself has read it. `opa build -t wasm -e echo/payload` makes echo.wasm of it.
package echo

# METADATA
# entrypoint: true
payload := input.payload
