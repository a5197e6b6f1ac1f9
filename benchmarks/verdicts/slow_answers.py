def slow_answers():
    return {}
