# Programs whose file calls go through tests/support/disk.c: test_<folder> from every *_test.c of
# tests/<folder>. What several of them share is tests/support/home.c; chance and time come
# from world.c, failing allocations from heap.c.
add_library(k2_test_disk OBJECT ${CMAKE_SOURCE_DIR}/tests/support/disk.c
  ${CMAKE_SOURCE_DIR}/tests/support/disk_state.c)
target_include_directories(k2_test_disk PUBLIC ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/tests)

foreach(folder IN ITEMS faults sim)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${folder}/*.c)
  add_executable(test_${folder} ${sources} ${CMAKE_SOURCE_DIR}/tests/support/home.c
    ${CMAKE_SOURCE_DIR}/tests/support/world.c ${CMAKE_SOURCE_DIR}/tests/support/heap.c
    $<TARGET_OBJECTS:k2_test_disk>)
  target_link_libraries(test_${folder} PRIVATE k2_query k2_pipeline k2_log k2_lake k2_feed k2_market k2_base
    k2_test_main)
  target_link_options(test_${folder} PRIVATE
    -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc)
  add_test(NAME ${folder} COMMAND test_${folder})
endforeach()
