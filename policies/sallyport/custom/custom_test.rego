package sallyport.custom_test

import data.sallyport.custom

test_nothing_is_denied_as_shipped if custom.deny == set()
