package sallyport.gate

denials contains "device-disabled" if input.device.state == "disabled"

denials contains "device-quarantined" if input.device.state == "quarantined"

denials contains "device-retired" if input.device.state == "retired"

denials contains "unknown-segment" if not _segment

# What sallyport.yaml says about the device's segment.
_segment := data.configuration.segments[input.device.segment]
