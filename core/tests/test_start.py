from igniter_store import Store


async def test_a_value_comes_back_as_it_was_set(igniter_store: Store[str]) -> None:
    await igniter_store.kv.set("user:1", {"name": "Avery"})

    assert await igniter_store.kv.get("user:1") == {"name": "Avery"}
