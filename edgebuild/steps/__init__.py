"""Steps that every plan has before and between techniques: load the data, make the weights, convert."""
