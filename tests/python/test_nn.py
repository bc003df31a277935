from eisbach import nn
from eisbach._C import Parameter


class Inner(nn.Module):
    def __init__(self, name):
        self.linear = nn.Linear(name, 2, 3, bias=False)


class Outer(nn.Module):
    def __init__(self):
        self.name = "outer"
        self.table = Parameter("table", (4, 2))
        self.embedding = nn.Embedding(self.table)
        self.inner = [Inner("a"), (Inner("b"), nn.Norm("n", 3))]
        self.named = {"last": Inner("c")}


def test_parameters_are_found_in_the_order_of_attributes():
    names = [parameter.name for parameter in Outer().parameters()]
    assert names == [
        "table",
        "table",
        "a.weight",
        "b.weight",
        "n.weight",
        "n.bias",
        "c.weight",
    ]


def test_every_name_is_there():
    for name in nn.__all__:
        assert getattr(nn, name)
